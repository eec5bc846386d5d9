import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from haystack import Document, Pipeline
from haystack.document_stores.errors import DocumentStoreError
from haystack.utils import Secret

pytest.importorskip("haystack_integrations.document_stores.opensearch", reason="the extra opensearch is not installed")

from haystack_integrations.components.retrievers.opensearch import (
    OpenSearchBM25Retriever,
    OpenSearchEmbeddingRetriever,
)
from opensearch_node import free_port, running
from opensearchpy.exceptions import TransportError

from haystack_integrations.components.preprocessors.lrl import LRLQueryCleaner
from haystack_lrl.languages.table import LANGUAGES, language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import fingerprint
from pipelines.document_store import (
    VectorSpace,
    build_document_store,
    index_mappings,
    index_name,
    switch_alias,
    vector_space,
)
from pipelines.server import Server
from pipelines.text_fields import text_mapping, text_settings

SPACE = VectorSpace("0123456789abcdef0123", 4)
OTHER = VectorSpace("fedcba9876543210fedc", 4)
COMPOSE = Path(__file__).parents[2] / "pipelines" / "compose.yaml"
# the development server has no ldaptive, which the security plugin asks for where part of a document is asked for
WHOLE = True
NOBODY = (Secret.from_env_var("NO_SUCH_USER", strict=False), Secret.from_env_var("NO_SUCH_PASSWORD", strict=False))


def documents(count=6):
    rng = np.random.default_rng(0)
    texts = [
        "La hundoj dormas.",
        "Katoj ĉasas musojn.",
        "ድመት ተኝታለች።",
        "Մեծ քաղաքներ։",
        "Birdoj kantas.",
        "Fiŝoj naĝas.",
    ]
    return [
        Document(id=str(i), content=texts[i % len(texts)], embedding=rng.normal(size=4).tolist(), meta={"n": f"{i}"})
        for i in range(count)
    ]


# settings


def test_a_language_with_an_analyzer_gets_it_and_all_others_one_default():
    assert text_mapping(language("hye")) == {"type": "text", "analyzer": "armenian"}
    assert text_settings(language("hye")) == {"index.query.default_field": ["content"]}
    others = [row for row in LANGUAGES if row.analyzer == "standard"]
    assert len(others) > 100
    assert all(text_mapping(row) == text_mapping(language("amh")) for row in others)
    plain = [row for row in others if not row.dotless_i]
    assert all(text_settings(row) == text_settings(language("amh")) for row in plain)
    azeri = text_settings(language("aze"))["analysis"]["filter"]["lower"]
    assert azeri == {"type": "lowercase", "language": "turkish"}


def test_every_field_that_is_searched_has_a_mapping_and_its_analyzers():
    settings, mapping = text_settings(language("amh")), text_mapping(language("amh"))
    assert [field.split("^")[0] for field in settings["index.query.default_field"]] == [
        "content",
        *(f"content.{name}" for name in mapping["fields"]),
    ]
    for field in (mapping, *mapping["fields"].values()):
        assert {field["analyzer"], field["search_analyzer"]} <= settings["analysis"]["analyzer"].keys()


def test_mappings_say_which_model_made_the_vectors():
    mappings = index_mappings(language("epo"), SPACE)
    assert mappings["properties"]["embedding"] == {
        "type": "knn_vector",
        "dimension": 4,
        "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
    }
    assert mappings["_meta"]["haystack_lrl"].items() >= {"model": SPACE.fingerprint, "language": "epo"}.items()


def test_two_models_never_share_an_index():
    assert index_name("news", "eo", SPACE) == "news-epo-v1-0123456789ab"
    assert index_name("news", "epo", OTHER) != index_name("news", "epo", SPACE)


def test_a_model_says_its_dimension_and_fingerprint(tiny_model, tmp_path):
    assert vector_space(tiny_model) == VectorSpace(fingerprint(tiny_model), 32)
    with pytest.raises(InputError, match=r"modules\.json"):
        vector_space(tmp_path)


def test_certificates_are_verified_and_requests_end():
    options = Server("https://search.example:9200", NOBODY).options
    assert options["use_ssl"]
    assert options["verify_certs"]
    assert options["timeout"] == 30
    assert options["max_retries"] == 5
    assert 429 in options["retry_on_status"]


@pytest.mark.parametrize(
    ("host", "says"), [("localhost:9200", "has no scheme"), ("https://me:hidden@search:9200", "user or password")]
)
def test_hosts_without_scheme_or_with_a_password_are_refused(host, says):
    with pytest.raises(InputError, match=says) as caught:
        Server([host], NOBODY)
    assert "hidden" not in str(caught.value)


def test_a_plain_password_is_refused():
    with pytest.raises(TypeError, match="Secret") as caught:
        Server("https://search:9200", ("me", "hidden"))
    assert "hidden" not in str(caught.value)


def test_half_of_a_password_and_missing_certificates_are_errors(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENSEARCH_USERNAME", "me")
    monkeypatch.delenv("OPENSEARCH_PASSWORD", raising=False)
    with pytest.raises(InputError, match="Only one"), Server("https://search:9200").client():
        pass
    with pytest.raises(InputError, match=r"none\.pem does not exist"):
        Server("https://search:9200", NOBODY, tmp_path / "none.pem")


def test_nobody_listening_is_one_sentence():
    server = Server("http://127.0.0.1:9", NOBODY, patience_s=0.2)
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9 does not answer within 0\.2 s"):
        build_document_store("epo", SPACE, server)


def test_compose_keeps_the_password_out_and_the_port_to_this_machine():
    composed = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    node = composed["services"]["opensearch"]
    assert node["environment"]["OPENSEARCH_INITIAL_ADMIN_PASSWORD"].startswith("${OPENSEARCH_INITIAL_ADMIN_PASSWORD:?")
    assert all(port.startswith("127.0.0.1:") for port in node["ports"])
    assert not any("SECURITY" in name.upper() for name in node["environment"])
    assert node["healthcheck"]
    assert node["ulimits"]["nofile"]


# against a real server


def as_user(monkeypatch, node, user, password, *, certificates=True):
    monkeypatch.setenv("OPENSEARCH_USERNAME", user)
    monkeypatch.setenv("OPENSEARCH_PASSWORD", password)
    return Server(node.url, certificates=node.certificate if certificates else None)


def filled(server, code="epo", space=SPACE, name="documents", count=6, **settings):
    store = build_document_store(code, space, server, name=name, **settings)
    store.write_documents(documents(count), refresh=True)
    return store


def found(store, query):
    return [document.id for document in OpenSearchBM25Retriever(document_store=store).run(query)["documents"]]


@pytest.mark.integration
def test_small_vectors_find_what_exact_search_finds_and_keep_the_floats(plain):
    space = VectorSpace("abcdefabcdefabcd", 32)
    vectors = np.random.default_rng(1).normal(size=(300, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = build_document_store("epo", space, plain, name="small", vectors="4x", return_embedding=True)
    store.write_documents(
        [
            Document(id=f"{n}", content="x", embedding=row.tolist(), meta={"third": n % 3})
            for n, row in enumerate(vectors)
        ],
        refresh=True,
    )
    nearest = np.argsort(-vectors @ vectors[4])
    third = {"field": "meta.third", "operator": "==", "value": 1}
    for given, expected in ({}, nearest[:10]), ({"filters": third}, nearest[nearest % 3 == 1][:10]):
        hits = OpenSearchEmbeddingRetriever(document_store=store, efficient_filtering=True).run(
            vectors[4].tolist(), **given
        )
        assert [int(document.id) for document in hits["documents"]] == expected.tolist()
        assert hits["documents"][0].score == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(hits["documents"][0].embedding, vectors[4], atol=1e-6)
    assert build_document_store("epo", space, plain, name="small").count_documents() == 300  # whatever its form
    with pytest.raises(InputError, match=r"is of the vectors '4x', not 'float': .* index the documents anew"):
        build_document_store("epo", space, plain, name="small", vectors="float")


@pytest.mark.integration
def test_text_and_vectors_are_found_and_metadata_is_not(plain):
    store = filled(plain, name="found")
    assert found(store, "hundo")[0] == "0"  # another ending of the same word
    assert found(store, "kat")[0] == "1"
    assert found(store, "ድመትን")[0] == "2"
    assert found(store, "5") == []  # the value of a keyword field
    retriever = OpenSearchEmbeddingRetriever(document_store=store, top_k=3)
    best = retriever.run(documents()[3].embedding)["documents"]
    assert best[0].id == "3"
    assert best[0].score == pytest.approx(1, abs=1e-5)  # the cosine of a vector with itself


@pytest.mark.integration
def test_a_built_in_analyzer_is_used(plain):
    assert found(filled(plain, "hye", name="armenian"), "քաղաքների") == ["3"]


@pytest.mark.integration
def test_building_twice_keeps_documents(plain):
    filled(plain, name="twice")
    assert build_document_store("epo", SPACE, plain, name="twice").count_documents() == 6


@pytest.mark.integration
def test_another_model_dimension_or_language_is_refused(plain):
    switch_alias(plain, "of-one-model", filled(plain, name="of-one"))
    for code, space, says in (
        ("epo", OTHER, "of the model"),
        ("epo", VectorSpace(SPACE.fingerprint, 8), "of the dimension 4, not 8"),
        ("amh", SPACE, "of the language 'epo', not 'amh'"),
    ):
        with pytest.raises(InputError, match=says):
            build_document_store(code, space, plain, name="of-one-model", through_alias=True)
    with pytest.raises(InputError, match="dimension 4, not 8"):  # the concrete index, under the same name
        build_document_store("epo", VectorSpace(SPACE.fingerprint, 8), plain, name="of-one")


@pytest.mark.integration
def test_an_index_of_somebody_else_is_refused(plain):
    with plain.client() as client:
        client.indices.create(index=index_name("theirs", "epo", SPACE))
    with pytest.raises(InputError, match="was not made by this package"):
        build_document_store("epo", SPACE, plain, name="theirs")


@pytest.mark.integration
def test_an_alias_that_is_not_there_is_an_error_and_makes_no_index(plain):
    with pytest.raises(InputError, match="no index or alias 'nowhere'"):
        build_document_store("epo", SPACE, plain, name="nowhere", through_alias=True)
    with plain.client() as client:
        assert not client.indices.exists(index="nowhere")


@pytest.mark.integration
def test_an_index_cannot_become_an_alias(plain):
    store = filled(plain, name="taken")
    with pytest.raises(InputError, match="is an index and so cannot be an alias"):
        switch_alias(plain, index_name("taken", "epo", SPACE), store)


@pytest.mark.integration
def test_an_alias_switches_without_a_gap(plain):
    old, new = (filled(plain, space=space, name="gapless") for space in (SPACE, OTHER))
    assert switch_alias(plain, "gapless", old) == []
    reader = build_document_store("epo", SPACE, plain, name="gapless", through_alias=True)
    ending = threading.Event()

    def ask():
        counts = []
        while not ending.is_set():
            counts.append(reader.count_documents())
        return counts

    with ThreadPoolExecutor() as pool:
        asking = pool.submit(ask)
        try:
            for _ in range(10):
                assert switch_alias(plain, "gapless", new) == [index_name("gapless", "epo", SPACE)]
                assert switch_alias(plain, "gapless", old) == [index_name("gapless", "epo", OTHER)]
        finally:
            ending.set()
        counts = asking.result()  # which raises what a search met
    assert set(counts) == {6}  # both indices at once would give 12
    assert len(counts) > 5
    assert switch_alias(plain, "gapless", old) == [index_name("gapless", "epo", SPACE)]  # again is no harm


QUERIES = {
    "empty": "",
    "blank": "  \n",
    "10,000 characters": "hundo kaj kato " * 667,
    "10,000 characters without spaces": "hundo" * 2000,
    "1,500 different words": " ".join(f"vorto{n}" for n in range(1500)),
    "Lucene syntax": 'content:(hundo OR "kato" AND NOT [a TO z]) /.*/ ~2 ^5 \\',
    "JSON": '{"query": {"match_all": {}}, "size": 10000, "script": "x"}',
    "placeholder": "$filters",
    "wrong script": "Собаки спят, 犬は眠る",
    "control characters": "\x00\u200f\ud7ff hundo \uffff",
}


@pytest.mark.integration
@pytest.mark.parametrize("code", ["epo", "hye"])
@pytest.mark.parametrize("kind", QUERIES)
def test_any_query_is_answered(plain, code, kind):
    store = filled(plain, code, name=f"queries-{code}-{list(QUERIES).index(kind)}")
    if kind in {"empty", "blank"}:
        with pytest.raises(InputError, match="query is empty"):
            LRLQueryCleaner().run(QUERIES[kind])
        return
    ids = found(store, LRLQueryCleaner().run(QUERIES[kind])["query"])
    if code == "epo" and kind in {"10,000 characters", "Lucene syntax", "control characters"}:
        assert "0" in ids
    assert len(ids) <= 6


@pytest.mark.integration
def test_the_default_fields_take_any_length_and_built_in_analyzers_need_it_cut(plain):
    many = QUERIES["1,500 different words"]
    assert found(filled(plain, "epo", name="uncut"), many + " hundo") == []  # what is beyond the limit does not count
    with pytest.raises(TransportError, match="maxClauseCount"):
        found(filled(plain, "hye", name="uncut"), many)


@pytest.mark.integration
def test_a_long_keyword_does_not_lose_its_document(plain):
    store = build_document_store("epo", SPACE, plain, name="long-keyword")
    document = Document(id="long", content="x", embedding=[1.0, 0, 0, 0], meta={"note": "ĉ" * 40_000})
    assert store.write_documents([document], refresh=True) == 1


@pytest.mark.integration
def test_a_wrong_password_is_refused_without_showing_it(secured, monkeypatch, caplog):
    server = as_user(monkeypatch, secured, "admin", "hidden-word")
    with caplog.at_level("DEBUG"), pytest.raises(InputError, match="refuses the user or the password") as caught:
        build_document_store("epo", SPACE, server)
    assert "hidden-word" not in str(caught.value) + str(caught.value.__cause__) + caplog.text + repr(server)


@pytest.mark.integration
def test_a_certificate_signed_by_nobody_known_is_refused(secured, monkeypatch):
    with pytest.raises(InputError, match="certificate of https://localhost"):
        build_document_store("epo", SPACE, as_user(monkeypatch, secured, "admin", "admin", certificates=False))
    assert filled(as_user(monkeypatch, secured, "admin", "admin"), name="trusted").count_documents() == 6


@pytest.mark.integration
def test_a_user_who_may_only_read_searches_and_cannot_write(secured, monkeypatch):
    admin = as_user(monkeypatch, secured, "admin", "admin")
    filled(admin, name="readable")
    rights = ["read", "indices:admin/get", "indices:admin/mappings/get"]
    with admin.client() as client:
        for path, body in (
            ("roles", {"index_permissions": [{"index_patterns": ["*"], "allowed_actions": rights}]}),
            ("internalusers", {"password": "Quiet-Harbour-71", "opendistro_security_roles": ["searcher"]}),
        ):
            client.transport.perform_request("PUT", f"/_plugins/_security/api/{path}/searcher", body=body)
    reader = as_user(monkeypatch, secured, "searcher", "Quiet-Harbour-71")
    store = build_document_store("epo", SPACE, reader, name="readable", return_embedding=WHOLE)
    assert found(store, "hundo")[0] == "0"
    with pytest.raises(DocumentStoreError, match=r"no permissions for .indices:data/write"):
        store.write_documents([Document(id="new", content="x", embedding=[1.0, 0, 0, 0])])
    with pytest.raises(InputError, match=r"does not allow this user to do that.*indices:admin/create"):
        build_document_store("epo", SPACE, reader, name="unwritten")
    with pytest.raises(InputError, match="does not allow this user"):
        switch_alias(reader, "read-only", store)
    with pytest.raises(InputError, match="searching takes the rights read, indices:admin/get"):
        build_document_store("epo", SPACE, as_user(monkeypatch, secured, "readall", "readall"), name="readable")


@pytest.mark.integration
def test_a_pipeline_in_yaml_holds_no_password_and_works_after_loading(secured, monkeypatch):
    store = filled(as_user(monkeypatch, secured, "admin", "admin"), name="in-yaml", return_embedding=WHOLE)
    pipeline = Pipeline()
    pipeline.add_component("bm25", OpenSearchBM25Retriever(document_store=store))
    dumped = pipeline.dumps()
    assert "OPENSEARCH_PASSWORD" in dumped
    monkeypatch.setenv("OPENSEARCH_PASSWORD", "another")
    assert "another" not in pipeline.dumps()
    monkeypatch.setenv("OPENSEARCH_PASSWORD", "admin")
    answer = Pipeline.loads(dumped).run({"bm25": {"query": "hundo"}})
    assert answer["bm25"]["documents"][0].id == "0"


@pytest.mark.integration
def test_a_server_that_starts_later_is_waited_for(tmp_path):
    port = free_port()
    server = Server(f"http://localhost:{port}", NOBODY, patience_s=300)
    with ThreadPoolExecutor() as pool:
        building = pool.submit(build_document_store, "epo", SPACE, server)
        with running(tmp_path / "node", port=port):
            assert building.result(300).count_documents() == 0
            with server.client() as client:
                mapping = client.indices.get_mapping(index=index_name("documents", "epo", SPACE))
    assert json.dumps(mapping).count("knn_vector") == 1
