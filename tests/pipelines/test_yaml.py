"""The YAML of searches and answers: what the builders make, and deployable as it is."""

import copy
from pathlib import Path

import pytest
import yaml
from haystack import Pipeline
from haystack.components.generators.chat import OpenAIChatGenerator

pytest.importorskip("opensearchpy", reason="the extra opensearch is not installed")

from haystack.utils import Secret
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from opensearchpy import OpenSearch

from haystack_integrations.components.embedders.lrl import LRLTextEmbedder
from pipelines.answering import build_rag
from pipelines.retrieval import build_search, retrievers_of, search, search_parts
from pipelines.server import Server
from pipelines.stores import Place, open_store

FOLDER = Path(__file__).parents[2] / "pipelines"
MODES = ("hybrid", "bm25", "dense")
MODEL = "runs/epo/model"


def path_of(mode):
    return FOLDER / ("rag.yaml" if mode == "rag" else f"search_{mode}.yaml")


def text_of(mode):
    return path_of(mode).read_text(encoding="utf-8")


def store():
    """The store of a Server that may be changed to https without losing the check of certificates."""
    options = {**Server("http://localhost:9200").options, "use_ssl": None, "verify_certs": True}
    auth = tuple(Secret.from_env_var(f"OPENSEARCH_{name}", strict=False) for name in ("USERNAME", "PASSWORD"))
    return OpenSearchDocumentStore(**options, index="documents", create_index=False, http_auth=auth)


def built(mode):
    embedder = LRLTextEmbedder(MODEL, backend="auto", progress_bar=False)
    if mode == "rag":
        key = Secret.from_env_var("OPENAI_API_KEY", strict=False)
        chat = OpenAIChatGenerator(key, "default", api_base_url="http://localhost:8080/v1")
        return build_rag(language="epo", generator=chat, **search_parts(store(), embedder, top_k=5))
    if mode == "hybrid":
        return build_search(**search_parts(store(), embedder))
    bm25, dense = retrievers_of(store(), top_k=10)
    return build_search(bm25=bm25) if mode == "bm25" else build_search(embedder=embedder, dense=dense)


def ordered(pipeline):
    """What a pipeline is, whatever the order in which it was put together."""
    described = copy.deepcopy(pipeline.to_dict())
    messages = described["components"].get("prompt", {}).get("init_parameters", {}).get("template", [])
    for message in messages:  # a file may leave out what is empty
        message.update(meta=message.get("meta") or {}, name=message.get("name"))
    described["connections"].sort(key=lambda connection: (connection["receiver"], connection["sender"]))
    return described


@pytest.mark.parametrize("mode", [*MODES, "rag"])
def test_a_file_is_what_the_builder_makes(mode):
    with path_of(mode).open(encoding="utf-8") as file:
        loaded = Pipeline.load(file)  # which allows the modules of haystack and haystack_integrations only
    assert ordered(loaded) == ordered(built(mode))


@pytest.mark.parametrize("mode", [*MODES, "rag"])
def test_no_password_is_in_a_file_or_in_what_it_loads(mode, monkeypatch):
    monkeypatch.setenv("OPENSEARCH_USERNAME", "me")
    monkeypatch.setenv("OPENSEARCH_PASSWORD", "hidden-word")
    assert "hidden-word" not in Pipeline.loads(text_of(mode)).dumps()
    assert "OPENSEARCH_PASSWORD" in text_of(mode)


@pytest.mark.parametrize(
    ("host", "verified"), [("http://localhost:9200", None), ("https://localhost:9200", "CERT_REQUIRED")]
)
def test_changing_the_host_to_https_checks_certificates(host, verified):
    parameters = yaml.safe_load(text_of("bm25"))["components"]["bm25"]["init_parameters"]["document_store"]
    options = {**parameters["init_parameters"], "hosts": [host]}
    for own in ("index", "create_index", "http_auth", "transport_class"):
        del options[own]
    with OpenSearch(use_ssl=None, **options) as client:
        connection = client.transport.get_connection()
        assert bool(connection.use_ssl) == bool(verified)
        assert getattr(connection.pool, "cert_reqs", None) == verified


@pytest.mark.parametrize("mode", MODES)
def test_hayhooks_deploys_it(mode):
    wrappers = pytest.importorskip("hayhooks.server.utils.yaml_pipeline_wrapper", reason="hayhooks is not installed")
    wrapper = wrappers.YAMLPipelineWrapper.from_yaml(text_of(mode))
    wrapper.setup()
    resolved = wrapper.input_resolutions["query"]
    assert (resolved.component, resolved.name, resolved.type) == ("query", "query", str)
    last = "fusion" if mode == "hybrid" else mode
    assert wrapper.output_resolutions["documents"].path == f"{last}.documents"
    assert ordered(wrapper.pipeline) == ordered(built(mode))


@pytest.mark.integration
def test_a_file_searches_what_was_indexed(tiny_model, tmp_path):
    import toy
    from haystack import Document
    from opensearch_node import running

    from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder

    rows = [Document(id=str(n), content=row["passage"]) for n, row in enumerate(toy.toy_seeds(30))]
    with running(tmp_path / "node") as node:
        made = open_store(Place("opensearch", "epo", tiny_model, "documents", (node.url,)))
        embedded = LRLDocumentEmbedder(str(tiny_model), progress_bar=False).run(rows)["documents"]
        made.write_documents(embedded, refresh=True)
        index = made.to_dict()["init_parameters"]["index"]
        for mode in MODES:
            text = text_of(mode).replace("http://localhost:9200", node.url).replace(MODEL, str(tiny_model))
            pipeline = Pipeline.loads(text.replace("index: documents", f"index: {index}"))
            outputs = pipeline.run({"query": {"query": rows[3].content}})
            last = outputs["fusion" if mode == "hybrid" else mode]["documents"]
            assert last[0].id == "3"
            assert len(last) == 10
            assert search(pipeline, rows[3].content, top_k=2).documents[0].id == "3"
