"""Indexing against a real OpenSearch while things break: a clear error or a complete index, nothing lost or doubled."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from haystack import Document, Pipeline
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret

pytest.importorskip("haystack_integrations.document_stores.opensearch", reason="the extra opensearch is not installed")

from opensearch_node import running, running_three

import pipelines.indexing
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_integrations.components.writers.lrl import LRLDocumentWriter
from haystack_lrl.records.errors import InputError
from pipelines.document_store import VectorSpace, build_document_store
from pipelines.indexing import index_documents
from pipelines.server import Server

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SPACE = VectorSpace("0123456789abcdef0123", 4)
NOBODY = (Secret.from_env_var("NO_SUCH_USER", strict=False), Secret.from_env_var("NO_SUCH_PASSWORD", strict=False))


def count_words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


class Embedder:
    """Vectors that depend on the text alone."""

    def run(self, documents):
        return {"documents": [replace(d, embedding=[1.0, len(d.content) % 7, 2.0, 3.0]) for d in documents]}


def articles(count, start=0):
    for n in range(start, start + count):
        yield Document(id=f"a{n}", content=f"Artikolo {n} estas mallonga. Ĝi havas du frazojn.", meta={"n": n})


def index(documents, store, patience_s=300, workers=2):
    splitter = LRLDocumentSplitter("epo", count_tokens=count_words, split_length=5)
    writer = LRLDocumentWriter(store, workers=workers, patience_s=patience_s)
    try:
        counts = index_documents(documents, splitter=splitter, embedder=Embedder(), writer=writer)
    finally:
        writer.close()
    counts.to_json()  # which checks that they add up
    return counts


def name_of(store):
    return store.to_dict()["init_parameters"]["index"]


def refresh_interval(server, store):
    with server.client() as client:
        settings = client.indices.get_settings(index=name_of(store))
    return next(iter(settings.values()))["settings"]["index"].get("refresh_interval")


def sources_of(server, store):
    """Return how many passages each document has in the index."""
    body = {"size": 0, "aggs": {"s": {"terms": {"field": "source_id", "size": 20_000}}}}
    with server.client() as client:
        client.indices.refresh(index=name_of(store))
        found = client.search(index=name_of(store), body=body)
    return {bucket["key"]: bucket["doc_count"] for bucket in found["aggregations"]["s"]["buckets"]}


def whole(count):
    return {f"a{n}": 2 for n in range(count)}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(pipelines.indexing, "_BLOCK_DOCUMENTS", 100)


def as_user(monkeypatch, node, user, password, *, certificates=True):
    monkeypatch.setenv("OPENSEARCH_USERNAME", user)
    monkeypatch.setenv("OPENSEARCH_PASSWORD", password)
    return Server(node.url, certificates=node.certificate if certificates else None)


# without faults


def test_everything_is_there_once_and_can_be_searched_at_the_end(plain, small_blocks):
    store = build_document_store("epo", SPACE, plain, name="whole")
    counts = index(articles(350), store)
    assert (counts.read, counts.passages, counts.written, counts.existing) == (350, 700, 700, 0)
    assert store.count_documents() == 700
    assert sources_of(plain, store) == whole(350)
    assert refresh_interval(plain, store) is None
    again = index(articles(360), store)
    assert (again.written, again.existing, again.deleted) == (20, 700, 0)
    assert store.count_documents() == 720


def test_changed_documents_take_their_own_place(plain):
    store = build_document_store("epo", SPACE, plain, name="changed")
    index(articles(3), store)
    counts = index([Document(id="a1", content="Nova."), Document(id="a2", content="")], store)
    assert (counts.written, counts.deleted, counts.empty) == (1, 4, 1)
    store.write_documents([], refresh=True)
    assert sources_of(plain, store) == {"a0": 2, "a1": 1}


def test_a_users_own_refresh_interval_comes_back_also_after_an_error(plain):
    store = build_document_store("epo", SPACE, plain, name="interval", settings={"index.refresh_interval": "30s"})

    def breaking():
        yield from articles(1500)
        assert refresh_interval(plain, store) == "-1"
        raise InputError("a broken line")

    with pytest.raises(InputError, match="a broken line"):
        index(breaking(), store)
    assert refresh_interval(plain, store) == "30s"
    assert index(articles(1600), store).existing == 2800  # the seven blocks before the error were written whole


def test_skipping_leaves_what_is_there(plain):
    store = build_document_store("epo", SPACE, plain, name="skipping")
    old, new = ([Document(id="x", content=text, embedding=[1.0, 0, 0, 0])] for text in ("old", "new"))
    writer = LRLDocumentWriter(store, DuplicatePolicy.SKIP)
    assert writer.run(old)["documents_written"] == 1
    assert writer.run(new) == {"documents_written": 0, "skipped": 1, "refused": []}
    assert store.filter_documents()[0].content == "old"


def test_the_yaml_pipeline_writes_into_an_index_of_ours(plain, tiny_model, tmp_path):
    from pipelines.document_store import switch_alias

    made = build_document_store("epo", tiny_model, plain, name="in-yaml")
    switch_alias(plain, "in-yaml", made)
    text = (ROOT / "pipelines" / "indexing.yaml").read_text(encoding="utf-8")
    text = text.replace("runs/epo/model", str(tiny_model)).replace("http://localhost:9200", plain.hosts[0])
    pipeline = Pipeline.loads(text.replace("index: documents", "index: in-yaml"))
    (tmp_path / "a.txt").write_text("Saluton. " * 100, encoding="utf-8")
    done = pipeline.run({"converter": {"sources": [tmp_path / "a.txt"]}})["writer"]
    assert done["documents_written"] == made.count_documents() > 1


def test_the_command_indexes_and_switches_the_alias(plain, tiny_model, tmp_path):
    from click.testing import CliRunner
    from toy import write_jsonl

    from haystack_lrl.cli.index import index_command
    from pipelines.stores import Place, open_store

    corpus = write_jsonl(tmp_path / "corpus.jsonl", [{"_id": f"{n}", "text": f"Numero {n}."} for n in range(5)])
    server = ["--store", "opensearch", "--hosts", plain.hosts[0], "--index", "command", "--alias", "news"]
    given = [str(corpus), "--language", "epo", "--model", str(tiny_model), *server]
    done = CliRunner().invoke(index_command, given)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["written"] == 5
    assert "news points at the new index" in done.stderr
    place = Place("opensearch", "epo", tiny_model, "news", tuple(plain.hosts), through_alias=True)
    assert open_store(place).count_documents() == 5
    assert json.loads(CliRunner().invoke(index_command, given).stdout)["existing"] == 5


def test_more_passages_than_one_search_returns_are_known(plain, monkeypatch):
    from haystack_integrations.components.writers.lrl import bulk

    store = build_document_store("epo", SPACE, plain, name="many-known")
    long = Document(id="long", content="Ĝi havas kvar vortojn. " * 30)
    counts = index([*articles(20), long], store)
    monkeypatch.setattr(bulk, "_MOST_FOUND", 7)
    again = index([*articles(20), long], store)
    assert (again.existing, again.written, again.deleted) == (counts.passages, 0, 0)
    assert counts.passages == 70


def test_an_index_that_is_not_there_is_an_error_and_is_not_made(plain):
    store = build_document_store("epo", SPACE, plain, name="gone")
    with plain.client() as client:
        client.indices.delete(index=name_of(store))
    store._create_index = False  # as in the YAML
    with pytest.raises(InputError, match="There is no index or alias"):
        index(articles(1), store)
    with plain.client() as client:
        assert not client.indices.exists(index=name_of(store))


# documents


@pytest.mark.slow
def test_poisoned_documents_among_ten_thousand_are_named_and_the_others_written(plain, caplog):
    store = build_document_store("epo", SPACE, plain, name="poisoned")

    class Poisoning(Embedder):
        def run(self, documents):
            embedded = super().run(documents)["documents"]
            return {"documents": [replace(d, embedding=[1.0]) if d.meta["n"] == 777 else d for d in embedded]}

    def documents():
        for document in articles(5000):
            if document.id == "a4000":
                document = replace(document, meta={"n": {"an object": "where all others have a number"}})
            yield document

    splitter = LRLDocumentSplitter("epo", count_tokens=count_words, split_length=5)
    writer = LRLDocumentWriter(store)
    counts = index_documents(documents(), splitter=splitter, embedder=Poisoning(), writer=writer)
    counts.to_json()
    assert (counts.passages, counts.written, counts.failed) == (10_000, 9996, 4)
    reasons = [failure.reason for failure in counts.failures]
    assert sum("dimension" in reason for reason in reasons) == 2
    assert sum("field [n]" in reason for reason in reasons) == 2
    assert all(failure.id in caplog.text for failure in counts.failures)
    missing = {f"a{n}" for n in range(5000)} - sources_of(plain, store).keys()
    assert missing == {"a777", "a4000"}
    mended = index(articles(5000), store)
    assert (mended.existing, mended.written, mended.failed) == (9996, 4, 0)
    assert sources_of(plain, store) == whole(5000)
    writer.close()


def test_a_document_of_five_megabytes_is_indexed_whole(plain):
    store = build_document_store("epo", SPACE, plain, name="large")
    text = "Ĉi tiu frazo havas ses vortojn. " * 160_000
    splitter = LRLDocumentSplitter("epo", count_tokens=count_words, split_length=3000)
    writer = LRLDocumentWriter(store)
    counts = index_documents(
        [Document(id="large", content=text)], splitter=splitter, embedder=Embedder(), writer=writer
    )
    assert len(text) > 5_000_000
    assert counts.written == counts.passages == store.count_documents() == 320
    writer.close()


def test_a_text_larger_than_a_request_may_be_is_refused_alone(plain):
    with breaking_server(plain.hosts[0], lambda proxy, body: 413 if len(body) > 20_000 else None) as url:
        store = build_document_store("epo", SPACE, Server(url, NOBODY), name="too-large")
        documents = [Document(id=f"{n}", content="x " * 2000, embedding=[1.0, 0, 0, 0]) for n in range(40)]
        documents[7] = Document(id="7", content="x " * 20_000, embedding=[1.0, 0, 0, 0])
        done = LRLDocumentWriter(store).run(documents)
    assert done["documents_written"] == 39
    assert [lost["id"] for lost in done["refused"]] == ["7"]
    assert "too large for the server" in done["refused"][0]["reason"]


def test_metadata_that_is_no_json_is_refused_alone(plain):
    store = build_document_store("epo", SPACE, plain, name="no-json")
    documents = [Document(id=f"{n}", content="x", embedding=[1.0, 0, 0, 0]) for n in range(3)]
    documents[1].meta["what"] = object()
    done = LRLDocumentWriter(store).run(documents)
    assert (done["documents_written"], [lost["id"] for lost in done["refused"]]) == (2, ["1"])
    assert "cannot be written as JSON" in done["refused"][0]["reason"]


# the network


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to `target`, except what `fault` makes of bulk requests."""

    protocol_version = "HTTP/1.1"

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        wrong = self.fault_of(body) if self.path.endswith("/_bulk") else None
        if isinstance(wrong, int):
            self.answer(wrong, b'{"error": "not now"}', {"Retry-After": "1"})
            return
        time.sleep(wrong if isinstance(wrong, float) else 0)
        status, content = self.passed_on(body)
        if wrong == "cut":
            self.close_connection = True
            self.connection.close()
        else:
            self.answer(status, content, {})

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_one

    def fault_of(self, body):
        with self.lock:
            type(self).requests += 1
            return self.fault(type(self), body)

    def passed_on(self, body):
        headers = {"content-type": self.headers.get("content-type") or "application/json"}
        request = urllib.request.Request(self.target + self.path, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def answer(self, status, content, headers):
        with contextlib.suppress(OSError):  # a client that has not waited
            self.send_response(status)
            for name, value in {**headers, "content-type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def breaking_server(target, fault):
    """Yield the URL of a proxy.

    :param fault: takes the proxy and the body of each bulk request, and returns None to pass it on, a status to answer,
        seconds to wait first, or "cut" to pass it on and break the connection before the answer.
    """
    own = {"target": target, "fault": staticmethod(fault), "lock": threading.Lock(), "requests": 0}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Proxy,), own))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


FAULTS = {
    "429 storm": lambda proxy, body: 429 if proxy.requests % 3 else None,
    "503": lambda proxy, body: 503 if proxy.requests == 2 else None,
    "slow": lambda proxy, body: 4.0 if proxy.requests == 2 else None,
    "cut": lambda proxy, body: "cut" if proxy.requests == 2 else None,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("policy", [DuplicatePolicy.OVERWRITE, DuplicatePolicy.SKIP])
def test_a_server_that_stumbles_loses_and_doubles_nothing(plain, small_blocks, fault, policy):
    with breaking_server(plain.hosts[0], FAULTS[fault]) as url:
        server = Server(url, NOBODY, timeout_s=2)
        name = f"fault-{list(FAULTS).index(fault)}-{policy.name.lower()}"
        store = build_document_store("epo", SPACE, server, name=name)
        splitter = LRLDocumentSplitter("epo", count_tokens=count_words, split_length=5)
        writer = LRLDocumentWriter(store, policy, workers=1)
        counts = index_documents(articles(250), splitter=splitter, embedder=Embedder(), writer=writer)
        writer.close()
    assert (counts.written, counts.existing, counts.failed) == (500, 0, 0)
    assert sources_of(plain, store) == whole(250)


def test_retry_after_is_kept(plain):
    times = []

    def busy_twice(proxy, body):
        times.append(time.monotonic())
        return 429 if proxy.requests <= 2 else None

    with breaking_server(plain.hosts[0], busy_twice) as url:
        index(articles(5), build_document_store("epo", SPACE, Server(url, NOBODY), name="retry-after"))
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(pauses) == 2
    assert min(pauses) >= 1


def test_a_server_that_takes_nothing_ends_the_run_and_a_rerun_completes_it(plain, small_blocks):
    with breaking_server(plain.hosts[0], lambda proxy, body: 429 if proxy.requests > 1 else None) as url:
        store = build_document_store("epo", SPACE, Server(url, NOBODY), name="never")
        with pytest.raises(InputError, match=r"taken nothing for 2 s \(status 429\).*run the same again"):
            index(articles(250), store, patience_s=2)
    assert refresh_interval(plain, store) is None
    store = build_document_store("epo", SPACE, plain, name="never")
    counts = index(articles(250), store)
    assert (counts.existing, counts.written) == (200, 300)
    assert sources_of(plain, store) == whole(250)


# the server


def test_a_full_disk_is_said_at_once_and_a_rerun_completes(plain, small_blocks):
    store = build_document_store("epo", SPACE, plain, name="full")

    def block(value):
        with plain.client() as client:
            client.indices.put_settings(index=name_of(store), body={"index.blocks.read_only_allow_delete": value})

    def filling():
        yield from articles(250)
        block(True)  # as the flood stage of the watermark does
        yield from articles(250, start=250)

    with pytest.raises(InputError, match="closed for writing, mostly because the disk is full"):
        index(filling(), store)
    with pytest.raises(InputError, match="disk is full"):
        index(articles(500), store)
    block(None)
    counts = index(articles(500), store)
    assert counts.existing >= 400
    assert sources_of(plain, store) == whole(500)
    assert refresh_interval(plain, store) is None


@pytest.mark.slow
def test_a_server_killed_and_restarted_in_the_middle(tmp_path, small_blocks):
    with running(tmp_path / "node") as node, ThreadPoolExecutor() as pool:
        server = Server(node.url, NOBODY)
        store = build_document_store("epo", SPACE, server, name="killed")
        back = []

        def documents():
            for n, document in enumerate(articles(1000)):
                if n == 500:
                    node.kill()
                    back.append(pool.submit(node.start_again))
                yield document

        counts = index(documents(), store)
        back[0].result()
        assert (counts.written, counts.failed) == (2000, 0)
        assert sources_of(server, store) == whole(1000)
        assert refresh_interval(server, store) is None


@pytest.mark.slow
def test_one_of_three_nodes_killed_in_the_middle(tmp_path, small_blocks):
    with running_three(tmp_path) as opened:
        server = Server([node.url for node in opened], NOBODY)
        store = build_document_store(
            "epo", SPACE, server, name="three", settings={"index.number_of_replicas": 1, "index.number_of_shards": 3}
        )
        with server.client() as client:
            client.cluster.health(index=name_of(store), wait_for_status="green", timeout="60s", request_timeout=90)

        def documents():
            for n, document in enumerate(articles(1000)):
                if n == 500:
                    opened[1].kill()
                yield document

        counts = index(documents(), store)
        assert (counts.written, counts.failed) == (2000, 0)
        assert sources_of(Server(opened[0].url, NOBODY), store) == whole(1000)


# the indexing process

KILLED = """
import sys, time
sys.path[:0] = [{tests!r}, {pipelines_tests!r}]
import test_indexing_faults as t
import pipelines.indexing
pipelines.indexing._BLOCK_DOCUMENTS = 100
store = t.build_document_store("epo", t.SPACE, t.Server({url!r}, t.NOBODY), name="process")
def slowly():
    for n, document in enumerate(t.articles(1000)):
        if n % 100 == 0:
            print(n, flush=True)
            time.sleep(0.1)
        yield document
t.index(slowly(), store)
"""


@pytest.mark.slow
def test_an_indexing_process_that_is_killed_is_completed_by_a_rerun(plain, small_blocks):
    tests = ROOT / "tests"
    code = KILLED.format(tests=str(tests), pipelines_tests=str(tests / "pipelines"), url=plain.hosts[0])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    for line in process.stdout:
        if line.strip() == "500":
            break
    process.kill()
    process.wait()
    store = build_document_store("epo", SPACE, plain, name="process")
    assert refresh_interval(plain, store) == "-1"
    counts = index(articles(1000), store)
    assert 600 <= counts.existing <= 1000
    assert counts.existing + counts.written == 2000
    assert sources_of(plain, store) == whole(1000)
    assert refresh_interval(plain, store) is None


# who asks


def test_a_wrong_password_is_refused_and_never_shown(secured, monkeypatch, caplog):
    store = build_document_store("epo", SPACE, as_user(monkeypatch, secured, "admin", "admin"), name="secret")
    monkeypatch.setenv("OPENSEARCH_PASSWORD", "hidden-word")
    with caplog.at_level("DEBUG"), pytest.raises(InputError, match="refuses the user or the password") as caught:
        index(articles(3), store)
    pipeline = Pipeline()
    pipeline.add_component("writer", LRLDocumentWriter(store))
    shown = [str(caught.value), str(caught.value.__cause__), caplog.text, pipeline.dumps(), repr(store)]
    assert not any("hidden-word" in text for text in shown)
    assert "OPENSEARCH_PASSWORD" in pipeline.dumps()


def test_a_certificate_of_nobody_known_is_refused(secured, monkeypatch):
    admin = as_user(monkeypatch, secured, "admin", "admin")
    store = build_document_store("epo", SPACE, admin, name="unsigned")
    store._kwargs.pop("ca_certs")
    with pytest.raises(InputError, match="certificate is signed by nobody trusted"):
        index(articles(3), store, patience_s=5)


def test_a_user_who_may_only_read_is_refused(secured, monkeypatch):
    server = as_user(monkeypatch, secured, "admin", "admin")
    store = build_document_store("epo", SPACE, server, name="read-only")
    as_user(monkeypatch, secured, "readall", "readall")
    with pytest.raises(InputError, match="does not allow this user"):
        index(articles(3), store)
    as_user(monkeypatch, secured, "admin", "admin")
    assert store.count_documents() == 0


def test_the_rights_that_the_errors_name_are_enough(secured, monkeypatch):
    admin = as_user(monkeypatch, secured, "admin", "admin")
    rights = ["crud", "create_index", "indices:admin/get", "indices:admin/mappings/get"]
    user = {"password": "Quiet-Harbour-71", "opendistro_security_roles": ["loader"]}
    role = {"index_permissions": [{"index_patterns": ["*"], "allowed_actions": rights}]}
    role["cluster_permissions"] = ["cluster_composite_ops"]
    with admin.client() as client:
        for path, body in (("roles", role), ("internalusers", user)):
            client.transport.perform_request("PUT", f"/_plugins/_security/api/{path}/loader", body=body)
    loader = as_user(monkeypatch, secured, "loader", "Quiet-Harbour-71")
    store = build_document_store("epo", SPACE, loader, name="loaded", return_embedding=True)
    assert index(articles(50), store).written == 100
    admin = as_user(monkeypatch, secured, "admin", "admin")
    assert sources_of(admin, store) == whole(50)
