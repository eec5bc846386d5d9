"""The server: REST and the OpenAI-compatible chat, what it refuses, and to whom."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from chat_server import ChatServer
from click.testing import CliRunner
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.core.errors import PipelineRuntimeError
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret
from toy import toy_seeds, translated
from web_server import build_index, documents_of, serving, write_generator

pytest.importorskip("hayhooks", reason="the extra serve is not installed")

from fastapi import HTTPException
from fastapi.testclient import TestClient

from haystack_lrl.cli import main
from haystack_lrl.languages.table import LANGUAGES, language
from haystack_lrl.records.errors import InputError
from pipelines.retrieval import build_search, search, search_parts
from pipelines.serving import ENVIRONMENT, Service, Serving, found_by, open_service, refusing
from pipelines.stores import Place, embedder_of, open_store
from pipelines.web_app import build_app, direction, listen, render_page

ROWS = [
    {"content": row["passage"], "meta": {"title": f"title {n}", "url": f"https://example.org/{n}"}}
    for n, row in enumerate(translated(toy_seeds(40)))
]
QUERY = translated(toy_seeds(1))[0]["query"]
REPLY = "Jen la respondo [1]. Kaj plia [2]."
LOCAL = "http://127.0.0.1:1416"


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("served")
    return Place("memory", "epo", tiny_model, str(build_index(folder / "index", "epo", tiny_model, documents_of(ROWS))))


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return str(write_generator(tmp_path_factory.mktemp("generator") / "generator.yaml", REPLY))


@pytest.fixture(scope="module")
def client(place, generator):
    return TestClient(build_app(Serving(place, generator)), base_url=LOCAL)


def test_a_search_is_that_of_the_pipeline_with_the_places_in_both_rankings(client, place):
    pipeline = build_search(**search_parts(open_store(place), embedder_of(place)))
    expected = search(pipeline, QUERY, top_k=5)
    found = client.post("/search/run", json={"query": QUERY, "top_k": 5}).json()["result"]
    assert [row["id"] for row in found["documents"]] == [document.id for document in expected.documents]
    assert [row["score"] for row in found["documents"]] == pytest.approx([d.score for d in expected.documents])
    assert found["documents"][0]["content"] == expected.documents[0].content
    for name, ranking in (("lexical", expected.lexical), ("dense", expected.dense)):
        assert [row["id"] for row in found[name]] == [document.id for document in ranking[:5]]
        places = {document.id: rank for rank, document in enumerate(ranking, start=1)}
        assert [row[name] and row[name]["rank"] for row in found["documents"]] == [
            places.get(row["id"]) for row in found["documents"]
        ]


def test_readers_see_no_metadata_but_title_address_and_language(client):
    whole = client.post("/search/run", json={"query": QUERY}).text + client.post("/ask/run", json={"query": QUERY}).text
    assert "https://example.org/0" in whole
    assert "private" not in whole
    assert "embedding" not in whole


def test_filters_narrow_the_search(client):
    only = {"field": "meta.title", "operator": "==", "value": "title 3"}
    found = client.post("/search/run", json={"query": QUERY, "filters": only}).json()["result"]
    assert [row["title"] for row in found["documents"]] == ["title 3"]


def test_an_answer_has_its_numbered_sources(client):
    result = client.post("/ask/run", json={"query": QUERY}).json()["result"]
    assert result["answer"] == REPLY
    assert result["answered"]
    assert [source["number"] for source in result["sources"]] == [1, 2, 3, 4, 5]
    assert [source["cited"] for source in result["sources"]] == [True, True, False, False, False]
    found = client.post("/search/run", json={"query": QUERY, "top_k": 5}).json()["result"]
    assert [source["id"] for source in result["sources"]] == [row["id"] for row in found["documents"]]


def test_the_chat_is_that_of_openai(client):
    models = client.get("/v1/models").json()
    assert sorted(row["id"] for row in models["data"]) == ["ask", "search"]
    messages = [{"role": "user", "content": "before"}, {"role": "assistant", "content": "x"}]
    body = {"model": "ask", "messages": [*messages, {"role": "user", "content": [{"type": "text", "text": QUERY}]}]}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["object"] == "chat.completion"
    text = answer["choices"][0]["message"]["content"]
    assert text.startswith(REPLY)
    first = client.post("/search/run", json={"query": QUERY}).json()["result"]["documents"][0]
    assert f"[1] {first['title']}" in text
    assert "[3]" not in text
    chunks = client.post("/v1/chat/completions", json={**body, "stream": True}).text
    rows = [json.loads(line[6:]) for line in chunks.splitlines() if line.startswith("data: {")]
    assert "".join(row["choices"][0]["delta"].get("content") or "" for row in rows) == text
    passages = client.post("/v1/chat/completions", json={**body, "model": "search"}).json()
    assert passages["choices"][0]["message"]["content"].startswith(f"[1] {first['title']}\n{first['content']}")


@pytest.mark.parametrize("path", ["/search/run", "/ask/run"])
@pytest.mark.parametrize("query", ["", " \n\t"])
def test_a_blank_query_is_refused_in_one_sentence(client, path, query):
    answer = client.post(path, json={"query": query})
    assert answer.status_code == 422
    assert answer.json()["detail"].count(". ") == 0
    assert "query" in answer.json()["detail"]


@pytest.mark.parametrize(
    "more",
    [{"top_k": 0}, {"top_k": 101}, {"filters": {"field": "meta.x"}}, {"filters": {"operator": "?", "conditions": []}}],
)
def test_what_cannot_be_asked_is_refused(client, more):
    answer = client.post("/search/run", json={"query": QUERY, **more})
    assert answer.status_code == 422, answer.text
    assert "Traceback" not in answer.text


def test_a_chat_without_a_question_is_refused(client):
    body = {"model": "ask", "messages": [{"role": "system", "content": "x"}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 422


@pytest.mark.parametrize("query", ["a" * 10_000, '"}{[(*:\\', "<script>", "日本語", "\u202e\u0000"])
def test_odd_queries_are_answered(client, query):
    assert client.post("/search/run", json={"query": query}).status_code == 200


# without a generator, and with one ranking


def test_without_a_generator_there_is_only_search(place):
    client = TestClient(build_app(Serving(place)), base_url=LOCAL)
    assert client.post("/search/run", json={"query": QUERY}).status_code == 200
    assert client.post("/ask/run", json={"query": QUERY}).status_code == 404
    assert [row["id"] for row in client.get("/v1/models").json()["data"]] == ["search"]
    assert 'data-answers="no"' in client.get("/").text


@pytest.mark.parametrize(("mode", "searched", "missing"), [("bm25", "lexical", "dense"), ("dense", "dense", "lexical")])
def test_a_ranking_that_is_not_searched_is_none(place, mode, searched, missing):
    found = found_by(open_service(Serving(place, mode=mode)), QUERY)
    assert found[missing] is None
    assert [row["id"] for row in found["documents"]] == [row["id"] for row in found[searched]]
    assert len(found["documents"]) == 10


# what is behind the server fails


def test_a_store_that_is_away_is_a_503_without_its_address():
    retrievers = pytest.importorskip("haystack_integrations.components.retrievers.opensearch")
    stores = pytest.importorskip("haystack_integrations.document_stores.opensearch")
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
    away = stores.OpenSearchDocumentStore(hosts=f"http://127.0.0.1:{port}", create_index=False, max_retries=0)
    service = Service(build_search(bm25=retrievers.OpenSearchBM25Retriever(document_store=away)))
    with pytest.raises(HTTPException) as refused, refusing():
        found_by(service, QUERY)
    assert refused.value.status_code == 503
    assert refused.value.detail == "The document store does not answer: try again later."


@pytest.mark.parametrize("said", ["boom of http://10.0.0.1", "the content filter refused"])
def test_a_generator_that_fails_is_a_502_without_its_words(place, monkeypatch, said):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer(lambda request: (400, said)).running_at() as url:
        client = TestClient(build_app(Serving(place, f"{url}#m")), base_url=LOCAL)
        answer = client.post("/ask/run", json={"query": QUERY})
        assert client.post("/search/run", json={"query": QUERY}).status_code == 200
    assert answer.status_code == 502
    assert said not in answer.text


def test_a_bug_is_a_500_without_its_words():
    with pytest.raises(HTTPException) as refused, refusing():
        raise PipelineRuntimeError("bm25", None, "of /somewhere/private")
    assert refused.value.status_code == 500
    assert "private" not in refused.value.detail


# who may ask


def test_pipelines_and_so_code_cannot_be_sent(client):
    files = {"name": "evil", "files": {"pipeline_wrapper.py": "raise SystemExit"}}
    for path in ("/deploy_files", "/deploy-yaml", "/deploy", "/undeploy/search"):
        assert client.post(path, json=files).status_code in {404, 405}, path
    assert not [path for path in client.get("/openapi.json").json()["paths"] if "deploy" in path]


def test_a_name_that_was_made_to_point_here_is_refused(client):
    assert client.get("/", headers={"Host": "evil.example:1416"}).status_code == 400
    for host in ("localhost:1416", "127.0.0.1", "[::1]:1416"):
        assert client.get("/", headers={"Host": host}).status_code == 200


def test_other_sites_get_no_leave_to_read(client):
    origin = {"Origin": "https://evil.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert client.options("/search/run", headers=asked).status_code == 400
    answer = client.post("/search/run", json={"query": QUERY}, headers=origin)
    assert "access-control-allow-origin" not in answer.headers


def test_a_key_locks_all_but_the_page(place):
    client = TestClient(build_app(Serving(place), key="sesame"), base_url=LOCAL)
    for path in ("/", "/web/page.css", "/web/page.js"):
        assert client.get(path).status_code == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesame"}):
        refused = client.post("/search/run", json={"query": QUERY}, headers=headers)
        assert refused.status_code == 401
        assert "sesame" not in refused.text
    for path in ("/v1/models", "/status", "/openapi.json", "/web/../status"):
        assert client.get(path).status_code == 401, path
    allowed = client.post("/search/run", json={"query": QUERY}, headers={"Authorization": "Bearer sesame"})
    assert allowed.status_code == 200


def test_the_page_allows_no_script_but_its_own(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")  # nothing comes from elsewhere
    for name in ("secrets.py", "..%2Fserving.py", "page.html.j2"):
        assert client.get(f"/web/{name}").status_code == 404


def test_the_page_is_in_the_direction_of_the_language():
    rtl = {row.code for row in LANGUAGES if direction(row) == "rtl"}
    assert rtl == {"ara", "ckb", "div", "fas", "heb", "kas", "prs", "pus", "snd", "uig", "urd", "yid"}
    page = render_page(language("urd"), answers=False)
    assert '<html lang="en" dir="rtl" data-language="ur"' in page
    assert "اردو" in page


# settings


def test_what_is_served_goes_through_the_environment(place, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "")
    wanted = Place("opensearch", "hye", Path("m"), "documents", ("https://a:9200",), Path("ca.pem"))
    for serves in (Serving(place, "g.yaml", "bm25"), Serving(wanted, dense_weight=0.25)):
        serves.to_environment()
        assert Serving.from_environment() == serves


@pytest.mark.parametrize("text", ["", "x", "{}", "[1]", '{"place": {"store": "memory"}}', '{"place": 3}'])
def test_an_environment_that_says_nothing_is_an_error(monkeypatch, text):
    monkeypatch.setenv(ENVIRONMENT, text)
    with pytest.raises(InputError, match=ENVIRONMENT):
        Serving.from_environment()


def test_all_wrappers_share_the_pipelines(place):
    with ThreadPoolExecutor(4) as pool:
        services = list(pool.map(open_service, [Serving(place, dense_weight=0.75)] * 4))
    assert len({id(service) for service in services}) == 1


# the command


def options_of(place, *more):
    return ["serve", "--language", "epo", "--model", str(place.model), "--index", place.index, *more]


def test_a_taken_port_ends_with_two_and_one_sentence(place):
    with closing(listen("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(main, options_of(place, "--port", port))
    assert done.exit_code == 2
    assert f"127.0.0.1:{port}" in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_an_address_of_another_machine_ends_with_two_and_a_warning(place):
    done = CliRunner().invoke(main, options_of(place, "--host", "192.0.2.1"))
    assert done.exit_code == 2
    assert "without a key" in done.stderr
    assert "192.0.2.1:1416" in done.stderr


def test_a_missing_index_ends_with_two(place, tmp_path):
    with pytest.raises(InputError, match="no index"):
        build_app(Serving(Place("memory", "epo", place.model, str(tmp_path / "none"))))


@pytest.mark.integration
def test_a_server_answers_many_at_once_and_writes_no_question_down(place, generator, tmp_path):
    queries = [row["query"] for row in translated(toy_seeds(24))]
    options = ("--index", place.index, "--generator", generator)
    with serving(tmp_path, "epo", place.model, *options, HAYSTACK_LRL_API_KEY="sesame") as server:
        assert httpx.get(f"{server.url}/v1/models").status_code == 401
        held = {"Authorization": "Bearer sesame"}

        def ask(query):
            return server.post("/search/run", {"query": query}, headers=held).json()["result"]["documents"]

        one_by_one = [ask(query) for query in queries]
        with ThreadPoolExecutor(12) as pool:
            assert list(pool.map(ask, queries * 2)) == one_by_one * 2
        client = OpenAIChatGenerator(Secret.from_token("sesame"), model="ask", api_base_url=f"{server.url}/v1")
        assert client.run([ChatMessage.from_user(queries[0])])["replies"][0].text.startswith(REPLY)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) in {0, -signal.SIGTERM}
    log = server.errors.read_text()
    assert "Traceback" not in log
    assert "sesame" not in log
    assert queries[0] not in log
    assert os.environ.get("HAYSTACK_LRL_API_KEY") is None
