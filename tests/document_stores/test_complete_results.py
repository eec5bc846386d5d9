"""A store that is asked for everything gets it, an error, or nothing: never a part."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from haystack import Pipeline

pytest.importorskip("opensearchpy", reason="the extra opensearch is not installed")

from haystack_integrations.components.retrievers.opensearch import OpenSearchBM25Retriever
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from opensearchpy import Transport
from opensearchpy.exceptions import TransportError

from haystack_integrations.components.writers.lrl.bulk import Bulk
from haystack_integrations.document_stores.lrl import CompleteResults
from pipelines.server import Server

WHOLE = ["1", "2", "3"]
FAILED = {"error": {"type": "search_phase_execution_exception", "reason": "Partial shards failure"}}


class Dying:
    """A server whose node dies: for so many searches it has a part of the documents, and says so as OpenSearch does."""

    def __init__(self):
        self.partial, self.asked = 0, []
        dying = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = dying.answer(urlsplit(self.path))
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_POST = do_HEAD = answer

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, url):
        options = parse_qs(url.query)
        self.asked.append((url.path, options.get("allow_partial_search_results")))
        if not url.path.endswith("/_search"):
            return 200, {"documents": {"mappings": {}}}
        found = WHOLE[:1] if self.partial else WHOLE
        self.partial = max(0, self.partial - 1)
        if found != WHOLE and options.get("allow_partial_search_results") == ["false"]:
            return 500, FAILED
        hits = [{"_id": name, "_score": 1.0, "_source": {"id": name, "content": name}} for name in found]
        shards = {"total": 3, "successful": len(found), "failed": 3 - len(found)}
        total = {"value": len(hits), "relation": "eq"}
        return 200, {"_shards": shards, "timed_out": False, "hits": {"total": total, "hits": hits}}


@pytest.fixture
def server():
    dying = Dying()
    threading.Thread(target=dying.http.serve_forever, daemon=True).start()
    yield dying
    dying.http.shutdown()
    dying.http.server_close()


def pipeline_of(server):
    store = OpenSearchDocumentStore(**Server(server.url).options, index="documents", create_index=False)
    made = Pipeline()
    made.add_component("bm25", OpenSearchBM25Retriever(document_store=store))
    return made


async def run_and_close(pipeline, data):
    try:
        return await pipeline.run_async(data)
    finally:
        await pipeline.close_async()


def found(pipeline, way):
    data = {"bm25": {"query": "hundo"}}
    outputs = pipeline.run(data) if way == "run" else asyncio.run(run_and_close(pipeline, data))
    return [document.id for document in outputs["bm25"]["documents"]]


@pytest.mark.parametrize("way", ["run", "run_async"])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_part_is_asked_for_again(server, way, loaded):
    pipeline = pipeline_of(server)
    if loaded:
        pipeline = Pipeline.loads(pipeline.dumps())  # which allows the modules of haystack and its integrations only
    server.partial = 2
    assert found(pipeline, way) == WHOLE
    assert [asked for asked in server.asked if asked[0].endswith("_search")] == 3 * [("/documents/_search", ["false"])]


@pytest.mark.parametrize("way", ["run", "run_async"])
def test_what_stays_a_part_is_an_error(server, way):
    pipeline = pipeline_of(server)
    server.partial = 1000
    with pytest.raises(Exception, match="search_phase_execution_exception") as caught:
        found(pipeline, way)
    assert isinstance(caught.value.__cause__, TransportError)


def test_without_it_the_store_takes_a_part_for_all(server):
    """The trap; when this fails, Haystack closes it and CompleteResults can go."""
    options = {name: value for name, value in Server(server.url).options.items() if name != "transport_class"}
    store = OpenSearchDocumentStore(**options, index="documents", create_index=False)
    server.partial = 1
    documents = OpenSearchBM25Retriever(document_store=store).run("hundo")["documents"]
    assert [document.id for document in documents] == ["1"]


def test_only_searches_are_asked_so(server):
    with Server(server.url).client() as client:
        client.info()
        client.count(index="documents")
        client.search(index="documents", params={"allow_partial_search_results": "true"})
    assert server.asked == [("/", None), ("/documents/_count", None), ("/documents/_search", ["true"])]


@pytest.mark.parametrize("options", [{}, {"transport_class": Transport}])
def test_the_writer_knows_all_that_is_there(server, options):
    settings = {**Server(server.url).options, **options}  # of a store that does not care too
    bulk = Bulk(OpenSearchDocumentStore(**settings, index="documents", create_index=False), workers=1, patience_s=30)
    server.partial = 2
    try:
        assert bulk.ids_from(["a"]) == set(WHOLE)
    finally:
        bulk.close()


def test_it_is_made_again_from_what_it_writes():
    assert CompleteResults().to_dict() == {
        "type": "haystack_integrations.document_stores.lrl.complete_results.CompleteResults",
        "init_parameters": {},
    }
