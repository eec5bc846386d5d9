"""Searches that go wrong on a real server: each is a correct answer or one sentence."""

import contextlib
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import toy
from haystack import Document
from haystack.document_stores.types import DuplicatePolicy

pytest.importorskip("opensearchpy", reason="the extra opensearch is not installed")

from haystack.utils import Secret
from opensearch_node import free_port, running, running_three

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from pipelines.document_store import build_document_store, index_mappings, index_name, switch_alias
from pipelines.retrieval import build_search, search, search_parts
from pipelines.server import Server
from pipelines.spaces import vector_space
from pipelines.stores import Place, open_store
from pipelines.text_fields import text_settings

NOBODY = (Secret.from_env_var("NO_SUCH_USER", strict=False), Secret.from_env_var("NO_SUCH_PASSWORD", strict=False))
MODES = ("hybrid", "bm25", "dense")

_TIMEOUT_S = 4  # which a loaded machine keeps

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rows(tiny_model):
    texts = {str(n): row["passage"] for n, row in enumerate(toy.toy_seeds(30))} | {
        "dogs": "La hundoj dormas ĉe la pordo."
    }
    documents = [Document(id=name, content=text) for name, text in texts.items()]
    return LRLDocumentEmbedder(str(tiny_model), progress_bar=False).run(documents)["documents"]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with running(tmp_path_factory.mktemp("opensearch")) as started:
        yield started


def pipeline_of(store, model, mode="hybrid"):
    made = build_search(**search_parts(store, LRLTextEmbedder(str(model), progress_bar=False), mode))
    made.warm_up()
    return made


def filled(server, model, rows, name, code="epo", **settings):
    store = build_document_store(code, model, server, name=name, **settings)
    store.write_documents(rows, DuplicatePolicy.OVERWRITE, refresh=True)
    return store


def ids(found):
    return [document.id for document in found.documents]


# what is asked

QUERIES = {
    "10,000 characters": "hundoj kaj katoj " * 600,
    "10,000 characters without blanks": "hundoj" * 1700,
    "1,500 words": "hundoj " + " ".join(f"vorto{n}" for n in range(1500)),
    "wrong script": "Собаки спят, 犬は眠る",
    "Lucene operators": 'hundoj AND ( NOT "katoj',
    "Lucene fields": "content:hundoj title:* _id:3",
    "wildcards": "hund* ?undo /hund.*/ hundo~2^5",
    "query DSL": '{"query": {"match_all": {}}, "size": 10000, "hundoj": 1}',
    "placeholders": "$query $filters $query_embedding hundoj",
    "control characters": "\x00\u200f hundoj \uffff \ud83d",
    "only signs": "((((]]]] \\ \" ' --",
}


@pytest.fixture(scope="module", params=["epo", "hye"])  # the fields of our own, and a built-in analyzer
def asked(request, node, tiny_model, rows):
    return pipeline_of(filled(Server(node.url, NOBODY), tiny_model, rows, "asked", request.param), tiny_model)


@pytest.mark.parametrize("kind", QUERIES)
def test_any_query_is_answered(asked, kind):
    found = search(asked, QUERIES[kind])
    assert len(found.documents) == 10  # by vectors everything is near to some degree
    assert len(found.dense) == 31
    if "hundoj" in QUERIES[kind].split() or kind == "query DSL":
        assert found.lexical[0].id == "dogs"
        assert len({document.score for document in found.lexical}) > 1 or len(found.lexical) == 1  # no match_all
    if kind in {"wrong script", "only signs"}:
        assert found.lexical == []


@pytest.mark.parametrize("query", ["", " \n\t", "\u3000"])
def test_an_empty_query_is_refused(asked, query):
    with pytest.raises(InputError, match="The query is empty"):
        search(asked, query)


# what the server does


class Proxy:
    """Stands before a server; waits before it hands an answer on, or answers `status` for `refused` requests."""

    def __init__(self, target):
        self.wait_s, self.status, self.refused = 0.0, 429, 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if proxy.refused > 0:
                    proxy.refused -= 1
                    return self.reply(proxy.status, b'{"error": {"type": "rejected_execution_exception"}}')
                time.sleep(proxy.wait_s)
                request = urllib.request.Request(target + self.path, body or None, method=self.command)
                request.add_header("Content-Type", "application/json")
                try:
                    with urllib.request.urlopen(request) as answered:
                        return self.reply(answered.status, answered.read())
                except urllib.error.HTTPError as error:
                    return self.reply(error.code, error.read())

            def reply(self, status, body):
                with contextlib.suppress(OSError):  # who asked may have gone
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_POST = do_HEAD = do_PUT = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def proxied(node, tiny_model, rows):
    filled(Server(node.url, NOBODY), tiny_model, rows, "proxied")
    with Proxy(node.url) as proxy:
        store = build_document_store("epo", tiny_model, Server(proxy.url, NOBODY, timeout_s=_TIMEOUT_S), name="proxied")
        pipeline = pipeline_of(store, tiny_model)
        assert ids(search(pipeline, "hundoj"))  # the store asks for its index once
        yield proxy, pipeline


def test_a_slow_answer_is_waited_for(proxied):
    proxy, pipeline = proxied
    proxy.wait_s = 0.4
    assert search(pipeline, "hundoj").lexical[0].id == "dogs"


@pytest.mark.slow
def test_an_answer_that_does_not_come_is_one_sentence(proxied):
    proxy, pipeline = proxied
    proxy.wait_s = 2.5 * _TIMEOUT_S
    started = time.monotonic()
    with pytest.raises(InputError, match="does not answer in time"):
        search(pipeline, "hundoj")
    assert time.monotonic() - started < 10 * _TIMEOUT_S  # six tries
    proxy.wait_s = 0
    assert search(pipeline, "hundoj").lexical[0].id == "dogs"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(proxied, status):
    proxy, pipeline = proxied
    proxy.status, proxy.refused = status, 3
    assert search(pipeline, "hundoj").lexical[0].id == "dogs"
    assert proxy.refused == 0
    proxy.refused = 1000
    with pytest.raises(InputError, match=f"refuses the query \\({status}"):
        search(pipeline, "hundoj")


def test_an_index_that_is_deleted_while_it_is_searched_is_one_sentence(node, tiny_model, rows):
    server = Server(node.url, NOBODY)
    store = filled(server, tiny_model, rows, "deleted")
    pipeline = pipeline_of(store, tiny_model)
    assert ids(search(pipeline, "hundoj"))
    with server.client() as client:
        client.indices.delete(index=store.to_dict()["init_parameters"]["index"])
    with pytest.raises(InputError, match=r"refuses the query \(404, index_not_found_exception"):
        search(pipeline, "hundoj")


def test_a_part_of_the_index_that_is_gone_is_one_sentence_and_no_shorter_answer(node, tiny_model, rows):
    server, space = Server(node.url, NOBODY), vector_space(tiny_model)
    index, limit = index_name("parted", "epo", space), "index.routing.allocation.total_shards_per_node"
    body = {
        "mappings": index_mappings(language("epo"), space),
        "settings": {"index.knn": True, **text_settings(language("epo")), "index.number_of_shards": 2, limit: 1},
    }
    with server.client() as client:
        client.indices.create(index=index, body=body, params={"wait_for_active_shards": "0"})
        pipelines = [
            pipeline_of(build_document_store("epo", tiny_model, server, name="parted"), tiny_model, mode)
            for mode in MODES
        ]
        partial = client.search(index=index, params={"allow_partial_search_results": "true"})["_shards"]
        assert (partial["total"], partial["successful"], partial["failed"]) == (2, 1, 0)  # the trap
        for pipeline in pipelines:
            with pytest.raises(InputError, match=r"^A part of the index does not answer"):
                search(pipeline, "hundoj")
        client.indices.put_settings(index=index, body={limit: -1})
        client.cluster.health(index=index, wait_for_status="yellow", request_timeout=120)
    filled(server, tiny_model, rows, "parted")
    assert all("dogs" in ids(search(pipeline, "hundoj")) for pipeline in pipelines)


def test_another_model_is_refused_before_and_while_searching(node, tiny_model, tiny_model_with_prompts, rows):
    server = Server(node.url, NOBODY)
    store = filled(server, tiny_model, rows, "of-one-model")
    switch_alias(server, "current", store)
    place = Place("opensearch", "epo", tiny_model, "current", (node.url,), through_alias=True)
    assert ids(search(pipeline_of(open_store(place), tiny_model), "hundoj"))
    with pytest.raises(InputError, match="is of the model"):
        open_store(replace(place, model=tiny_model_with_prompts))
    shorter = build_search(
        embedder=LRLTextEmbedder(str(tiny_model), truncate_dim=8), dense=search_parts(store, None)["dense"]
    )
    with pytest.raises(InputError, match=r"refuses the query \(400"):
        search(shorter, "hundoj")


def asking(pipelines, ending):
    """Search until it is over; return what was found and the errors, in order."""
    found, errors = [], []
    while not ending.is_set():
        for pipeline in pipelines:
            try:
                found.append(search(pipeline, "hundoj"))
            except InputError as error:
                errors.append(str(error))
    return found, errors


def test_a_server_that_is_killed_and_restarted_answers_again(tmp_path, tiny_model, rows):
    port = free_port()
    with running(tmp_path / "node", port=port) as node, ThreadPoolExecutor() as pool:
        store = filled(Server(node.url, NOBODY), tiny_model, rows, "killed")
        pipelines = [pipeline_of(store, tiny_model, mode) for mode in MODES]
        before = [search(pipeline, "hundoj") for pipeline in pipelines]
        ending = threading.Event()
        searches = pool.submit(asking, pipelines, ending)
        try:
            time.sleep(1)
            node.kill()
            time.sleep(3)
        finally:
            ending.set()
        found, errors = searches.result()
        assert found
        assert all(result in before for result in found)
        assert errors
        assert set(errors) == {"The search server does not answer in time: check that it runs, then ask again."}
        with running(tmp_path / "node", port=port):
            with Server(node.url, NOBODY).client() as client:
                client.cluster.health(wait_for_status="yellow", request_timeout=120)
            assert [search(pipeline, "hundoj") for pipeline in pipelines] == before


@pytest.mark.slow
def test_one_of_three_nodes_dies_and_no_search_notices(tmp_path, tiny_model, rows):
    with running_three(tmp_path) as nodes, ThreadPoolExecutor(4) as pool:
        server = Server([node.url for node in nodes], NOBODY, timeout_s=20)
        shards = {"index.number_of_shards": 3, "index.number_of_replicas": 1}
        store = filled(server, tiny_model, rows, "replicated", settings=shards)
        with server.client() as client:
            client.cluster.health(wait_for_status="green", request_timeout=120)
        pipelines = [pipeline_of(store, tiny_model, mode) for mode in ("bm25", "dense")]
        before = [set(ids(search(pipeline, "hundoj"))) for pipeline in pipelines]
        ending = threading.Event()
        # several, so that one is between its two phases when the node dies and gets a part of the answer
        searches = [pool.submit(asking, pipelines, ending) for _ in range(4)]
        try:
            time.sleep(2)
            nodes[0].kill()
            time.sleep(10)
        finally:
            ending.set()
        for found, errors in (each.result() for each in searches):
            assert errors == []
            assert len(found) > 10
            assert all(set(ids(result)) in before for result in found)
