"""Indexing on a real Ray of two processors into a real OpenSearch: as on one machine, whatever breaks."""

import json
import os
import signal
from functools import partial

import pytest
from ray_processes import workers_of
from toy import WORDS, write_jsonl

pytest.importorskip("haystack_integrations.document_stores.opensearch", reason="the extra opensearch is not installed")
pytest.importorskip("ray.data", reason="the extra ray is not installed")

import haystack_lrl
import pipelines.reading
from haystack_lrl.engine.cluster import from_inside
from haystack_lrl.engine.flow import values_of
from haystack_lrl.engine.settings import Engine
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.parts import parts_of
from pipelines.document_store import build_document_store
from pipelines.index_settings import IndexSettings
from pipelines.indexing import index_documents
from pipelines.indexing_ray import _on_ray, _Worker, index_on_ray
from pipelines.reading import read_documents, read_source, sources_of
from pipelines.replicas import _replicas, _set_aside, without_replicas
from pipelines.spaces import VectorSpace
from pipelines.stores import Place, open_store

pytestmark = pytest.mark.integration

DOCUMENTS = 700


def row(number, text=""):
    words = " ".join(WORDS[(number * 3 + n) % len(WORDS)] for n in range(6))
    return {"_id": f"d{number}", "text": text or f"{words} number {number}. {words} again.", "n": number}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two files: documents, some of them twice, one with another text, one without any."""
    folder = tmp_path_factory.mktemp("corpus")
    write_jsonl(folder / "a.jsonl", [*map(row, range(400)), row(3), row(7, "Another text."), row(1000, " ")])
    write_jsonl(folder / "b.jsonl", [row(399), row(5, "A text that differs."), *map(row, range(400, DOCUMENTS))])
    return folder


@pytest.fixture
def small_parts(monkeypatch):
    """Let workers read pieces of a few hundred lines."""
    monkeypatch.setattr(pipelines.reading, "parts_of", partial(parts_of, size=20_000))


def settings_of(name, model, server, **more):
    place = Place("opensearch", "eng", model, name, tuple(server.hosts))
    return IndexSettings(place, **more)


def on_ray(corpus, settings, **more):
    return index_on_ray([corpus], settings, Engine(workers=2), **more)


def here(corpus, settings):
    steps = settings.steps(open_store(settings.place))
    try:
        return index_documents(read_documents([corpus]), **steps)
    finally:
        steps["writer"].close()


def name_of(settings):
    return open_store(settings.place).to_dict()["init_parameters"]["index"]


def passages_in(server, settings):
    """Return id and text of everything in the index, page by page."""
    from opensearchpy.helpers import scan

    with server.client() as client:
        client.indices.refresh(index=name_of(settings))
        hits = list(scan(client, index=name_of(settings), _source=["content", "source_id"]))
    return {hit["_id"]: (hit["_source"]["source_id"], hit["_source"]["content"]) for hit in hits}


def state_of(server, settings):
    """Return refresh interval, replicas and the notes of the index."""
    with server.client() as client:
        own = next(iter(client.indices.get_settings(index=name_of(settings)).values()))["settings"]["index"]
        meta = next(iter(client.indices.get_mapping(index=name_of(settings)).values()))["mappings"]["_meta"]
    return own.get("refresh_interval"), int(own["number_of_replicas"]), sorted(meta)


def comparable(counts):
    told = counts.to_json()
    return {**told, "failures": sorted(failure["id"] for failure in told["failures"])}


def test_ray_indexes_what_one_machine_does(plain, ray_here, tiny_model, corpus, small_parts):
    local, ray = settings_of("local", tiny_model, plain), settings_of("ray", tiny_model, plain)
    assert len(list(sources_of([corpus]))) > 3
    expected, seen = here(corpus, local), []
    counts = on_ray(corpus, ray, progress=lambda counts: seen.append(counts.written))
    assert comparable(counts) == comparable(expected)
    assert (counts.read, counts.duplicates, counts.unreadable, counts.empty) == (705, 2, 2, 1)
    assert len(seen) > 3
    assert seen[-1] == counts.written
    assert passages_in(plain, ray) == passages_in(plain, local)
    again = on_ray(corpus, ray)
    assert (again.written, again.existing, again.deleted) == (0, counts.passages, 0)


def test_replicas_and_refreshing_rest_while_it_is_loaded(plain, ray_here, tiny_model, corpus):
    settings = settings_of("rest", tiny_model, plain)
    given = {"index.number_of_replicas": 2, "index.refresh_interval": "20s"}
    build_document_store("eng", tiny_model, plain, name="rest", settings=given)
    states = []
    on_ray(corpus, settings, progress=lambda counts: states.append(state_of(plain, settings)))
    assert states[0] == ("-1", 0, ["haystack_lrl", "haystack_lrl_replicas"])
    assert state_of(plain, settings) == ("20s", 2, ["haystack_lrl"])


def test_a_killed_worker_loses_and_doubles_nothing(plain, ray_here, tiny_model, corpus, small_parts):
    settings, killed = settings_of("killed", tiny_model, plain), []

    def kill(counts):
        if not killed:
            killed.append(workers_of(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    counts = on_ray(corpus, settings, progress=kill)
    assert killed
    counts.to_json()
    passages = passages_in(plain, settings)
    assert len(passages) == counts.passages
    assert {source for source, _ in passages.values()} == {f"d{n}" for n in range(DOCUMENTS)}
    assert on_ray(corpus, settings).existing == counts.passages


def test_after_an_error_everything_is_as_before_and_a_rerun_completes(plain, ray_here, tiny_model, corpus, small_parts):
    settings = settings_of("error", tiny_model, plain)
    build_document_store("eng", tiny_model, plain, name="error", settings={"index.number_of_replicas": 1})

    def block(value):
        with plain.client() as client:
            body = {"index.blocks.read_only_allow_delete": value}
            client.indices.put_settings(index=name_of(settings), body=body)

    def stop(counts):
        raise InputError("stopped")

    with pytest.raises(InputError, match="stopped"):
        on_ray(corpus, settings, progress=stop)
    assert state_of(plain, settings) == (None, 1, ["haystack_lrl"])
    with pytest.raises(InputError, match="mostly because the disk is full"):
        on_ray(corpus, settings, progress=lambda counts: block(True))
    block(None)
    counts = on_ray(corpus, settings)
    assert state_of(plain, settings) == (None, 1, ["haystack_lrl"])
    assert counts.existing > 0
    assert len(passages_in(plain, settings)) == counts.passages == counts.existing + counts.written


def test_a_broken_line_is_named_before_anything_is_written(plain, ray_here, tiny_model, tmp_path, small_parts):
    broken = write_jsonl(tmp_path / "broken.jsonl", [row(n) for n in range(500)])
    with broken.open("a", encoding="utf-8") as file:
        file.write('{"_id": "x"}\n')
    settings = settings_of("broken", tiny_model, plain)
    with pytest.raises(InputError, match=r"broken\.jsonl line 501 has the columns _id but not 'text'"):
        on_ray(broken, settings)
    assert passages_in(plain, settings) == {}


def test_the_command_indexes_on_ray(plain, ray_here, tiny_model, corpus):
    from click.testing import CliRunner

    from haystack_lrl.cli.index import index_command

    given = [str(corpus / "b.jsonl"), "--language", "eng", "--model", str(tiny_model), "--index", "command-ray"]
    server = ["--store", "opensearch", "--hosts", plain.hosts[0], "--engine", "ray", "--workers", "2", "--quiet"]
    done = CliRunner().invoke(index_command, [*given, *server])
    assert done.exit_code == 0, done.output
    counts = json.loads(done.stdout)
    assert (counts["read"], counts["indexed"]) == (302, 302)
    assert counts["written"] == counts["passages"] >= 302


def test_a_task_of_the_cluster_does_it_for_a_client(plain, ray_here, tiny_model, corpus, tmp_path):
    settings, engine = settings_of("client", tiny_model, plain), Engine("ray://nowhere:1", workers=2)
    counts = from_inside(partial(_on_ray, [str(corpus / "b.jsonl")], settings, progress=None), engine)
    assert counts.read == 302
    assert len(passages_in(plain, settings)) == counts.to_json()["written"] > 0
    with pytest.raises(InputError, match="neither a file nor a folder"):
        from_inside(partial(_on_ray, [str(tmp_path / "none")], settings, progress=None), engine)


# without Ray


def test_replicas_of_a_killed_run_come_back(plain, tiny_model):
    settings = settings_of("note", tiny_model, plain)
    build_document_store("eng", tiny_model, plain, name="note", settings={"index.number_of_replicas": 1})
    with plain.client() as client:
        before = _replicas(client, name_of(settings))
    _set_aside(plain, before)  # and then the process is gone
    assert state_of(plain, settings)[1:] == (0, ["haystack_lrl", "haystack_lrl_replicas"])
    with without_replicas(plain, name_of(settings)):
        assert state_of(plain, settings)[1] == 0
    assert state_of(plain, settings)[1:] == (1, ["haystack_lrl"])


def test_an_index_without_replicas_or_with_those_that_follow_the_nodes_stays(plain, tiny_model):
    for name, given, replicas in (
        ("none", {"index.number_of_replicas": 0}, 0),
        ("auto", {"index.auto_expand_replicas": "0-1"}, 0),
    ):
        settings = settings_of(name, tiny_model, plain)
        build_document_store("eng", tiny_model, plain, name=name, settings=given)
        with without_replicas(plain, name_of(settings)):
            assert state_of(plain, settings)[1:] == (replicas, ["haystack_lrl"])


def test_a_worker_with_another_model_writes_nothing(plain, tiny_model):
    worker = _Worker(settings_of("other", tiny_model, plain), VectorSpace("another", 4), haystack_lrl.__version__)
    (answer,) = worker({"data": [b"\x80\x04]\x94."], "error": [""]})
    with pytest.raises(InputError, match="is another one: copy it there anew"):
        list(values_of(answer))


def test_parts_of_a_file_hold_what_the_file_does(corpus, small_parts):
    documents = [document for source in sources_of([corpus]) for document in read_source(source)]
    assert documents == list(read_documents([corpus]))


def test_sources_that_are_no_rows_are_read_whole(tmp_path):
    (tmp_path / "a.txt").write_text("Saluton.", encoding="utf-8")
    write_jsonl(tmp_path / "b.jsonl", [row(1)])
    sources = list(sources_of([tmp_path]))
    assert sources[0] == str(tmp_path / "a.txt")
    assert [d.content for source in sources for d in read_source(source)] == ["Saluton.", row(1)["text"]]
