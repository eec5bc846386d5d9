"""Indexing on Ray while real processes are killed: no document is lost or doubled, and a rerun completes."""

import json
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from toy import WORDS, write_jsonl

pytest.importorskip("haystack_integrations.document_stores.opensearch", reason="the extra opensearch is not installed")
pytest.importorskip("ray.data", reason="the extra ray is not installed")

from haystack.utils import Secret
from opensearch_node import running_three
from opensearchpy.helpers import scan
from ray_processes import kill_both, workers_of

from haystack_lrl.engine.settings import Engine
from pipelines.document_store import build_document_store
from pipelines.index_settings import IndexSettings
from pipelines.indexing_ray import index_on_ray
from pipelines.server import Server
from pipelines.stores import Place, open_store

pytestmark = [pytest.mark.slow, pytest.mark.integration]

DOCUMENTS = 4000
RUNS = 4  # with two kills each


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for part in range(4):
        numbers = range(part * DOCUMENTS // 4, (part + 1) * DOCUMENTS // 4)
        write_jsonl(folder / f"{part}.jsonl", [{"_id": f"d{n}", "text": text_of(n)} for n in numbers])
    return folder


def text_of(number):
    words = " ".join(WORDS[(number * 3 + n) % len(WORDS)] for n in range(6))
    return f"{words} number {number}. {words} again."


def sources_in(server, name):
    """Return the document of everything in an index, and what the index says of itself."""
    with server.client() as client:
        client.indices.refresh(index=name)
        sources = [hit["_source"]["source_id"] for hit in scan(client, index=name, _source=["source_id"])]
        own = client.indices.get_settings(index=name)[name]["settings"]["index"]
        meta = client.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
    return sources, (own.get("refresh_interval"), own["number_of_replicas"], sorted(meta))


def index_of(place):
    return open_store(place).to_dict()["init_parameters"]["index"]


def test_kills_at_random_times_lose_and_double_no_document(plain, tiny_model, corpus, tmp_path):
    """Of workers and whole commands by turns."""
    place = Place("opensearch", "eng", tiny_model, "kills", tuple(plain.hosts))
    build_document_store("eng", tiny_model, plain, name="kills", settings={"index.number_of_replicas": 1})
    given = ["--language", "eng", "--model", str(tiny_model), "--index", "kills", "--hosts", plain.hosts[0]]
    command = [sys.executable, "-m", "haystack_lrl.cli", "index", str(corpus), *given, "--store", "opensearch"]
    command += ["--engine", "ray", "--workers", "2", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    index = index_of(place)

    def passages():
        with plain.client() as client:
            client.indices.refresh(index=index)
            return client.count(index=index)["count"]

    for run in range(RUNS):
        before = passages()
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert kill_both(process, random.Random(run), lambda before=before: passages() > before) == 2
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["read"] == DOCUMENTS
    assert counts["existing"] > 0
    sources, state = sources_in(plain, index)
    assert len(sources) == counts["passages"] == counts["existing"] + counts["written"]
    assert set(sources) == {f"d{n}" for n in range(DOCUMENTS)}
    assert state == (None, "1", ["haystack_lrl"])


def test_a_server_and_a_worker_die_while_it_is_loaded(ray_here, tiny_model, corpus, tmp_path):
    """One of three nodes of the server, and later a worker; the node comes back with what it held."""
    nobody = tuple(Secret.from_env_var(name, strict=False) for name in ("NO_SUCH_USER", "NO_SUCH_PASSWORD"))
    with running_three(tmp_path) as nodes, ThreadPoolExecutor() as pool:
        server = Server([node.url for node in nodes], nobody)
        wanted = {"index.number_of_shards": 3, "index.number_of_replicas": 1}
        build_document_store("eng", tiny_model, server, name="three", settings=wanted)
        place = Place("opensearch", "eng", tiny_model, "three", tuple(server.hosts))
        back, killed = [], []

        def break_things(counts):
            if not back:
                nodes[1].kill()
                back.append(pool.submit(nodes[1].start_again))
            elif not killed and counts.read > DOCUMENTS / 2:
                killed.append(workers_of(os.getpid())[0])
                os.kill(killed[0], signal.SIGKILL)

        counts = index_on_ray([corpus], IndexSettings(place), Engine(workers=2), progress=break_things)
        back[0].result()
        assert killed
        assert (counts.read, counts.failed) == (DOCUMENTS, 0)
        sources, state = sources_in(server, index_of(place))
        assert len(sources) == counts.passages
        assert set(sources) == {f"d{n}" for n in range(DOCUMENTS)}
        assert state == (None, "1", ["haystack_lrl"])
