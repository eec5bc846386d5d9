"""Indexing on real tiny models and the store in memory; the real server is in test_indexing_faults.py."""

import gzip
import json
import threading
from pathlib import Path

import pytest
from haystack import Document, Pipeline
from haystack.components.converters import TextFileToDocument
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from toy import WORDS, write_jsonl

import pipelines.indexing
import pipelines.reading
from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_integrations.components.writers.lrl import LRLDocumentWriter
from haystack_lrl.records.errors import InputError, MissingExtraError
from pipelines.index_counts import IndexCounts
from pipelines.indexing import build_indexing, index_documents
from pipelines.reading import read_documents, read_source, sources_of


def article(number, sentences=12):
    words = [WORDS[(number * 7 + n) % len(WORDS)] for n in range(8)]
    return " ".join(f"{' '.join(words)} number {number} sentence {n}." for n in range(sentences))


def articles(count):
    return [Document(id=f"a{n}", content=article(n), meta={"title": f"T{n}"}) for n in range(count)]


@pytest.fixture(scope="module")
def steps(tiny_model):
    embedder = LRLDocumentEmbedder(str(tiny_model), progress_bar=False)
    return {"splitter": LRLDocumentSplitter("eng", str(tiny_model)), "embedder": embedder}


@pytest.fixture
def store():
    return InMemoryDocumentStore(embedding_similarity_function="cosine", shared=False)


def index(documents, steps, store, **settings):
    return index_documents(documents, **steps, writer=LRLDocumentWriter(store), **settings)


class Counting:
    """An embedder that says how many passages it was given."""

    def __init__(self, embedder):
        self.embedder, self.given = embedder, 0

    def run(self, documents):
        self.given += len(documents)
        return self.embedder.run(documents)


def test_the_stream_does_what_the_pipeline_does(steps, tiny_model, store):
    counts = index(iter(articles(5)), steps, store).to_json()
    other = InMemoryDocumentStore(shared=False)
    fresh = LRLDocumentSplitter("eng", str(tiny_model)), LRLDocumentEmbedder(str(tiny_model), progress_bar=False)
    pipeline = build_indexing(*fresh, LRLDocumentWriter(other))
    done = pipeline.run({"splitter": {"documents": articles(5)}})["writer"]
    assert done["documents_written"] == counts["written"] == store.count_documents() > 5
    assert {"read": 5, "indexed": 5, "empty": 0, "failed": 0}.items() <= counts.items()
    assert {d.id: d.content for d in store.storage.values()} == {d.id: d.content for d in other.storage.values()}
    for passage in store.storage.values():
        assert passage.embedding == pytest.approx(other.storage[passage.id].embedding, abs=1e-5)


def test_blocks_cover_everything_and_are_written_while_the_next_is_embedded(steps, store, monkeypatch):
    monkeypatch.setattr(pipelines.indexing, "_BLOCK_DOCUMENTS", 2)
    threads, seen = set(), []

    class Watching(LRLDocumentWriter):
        def write(self, documents):
            threads.add(threading.current_thread().name)
            return super().write(documents)

    counts = index_documents(
        iter(articles(7)), **steps, writer=Watching(store), progress=lambda counts: seen.append(counts.read)
    )
    assert seen == [2, 4, 6, 7]
    assert threads == {"writing_0"}
    assert {passage.meta["source_id"] for passage in store.storage.values()} == {f"a{n}" for n in range(7)}
    assert counts.to_json()["passages"] == store.count_documents()


def test_no_more_is_read_than_two_blocks_ahead(steps, store, monkeypatch):
    monkeypatch.setattr(pipelines.indexing, "_BLOCK_DOCUMENTS", 3)
    read = 0

    def reading():
        nonlocal read
        for document in articles(12):
            read += 1
            yield document

    ahead = []
    index(reading(), steps, store, progress=lambda counts: ahead.append(read - counts.read))
    assert max(ahead) == 0
    assert len(ahead) == 4


def test_long_documents_make_smaller_blocks(monkeypatch):
    monkeypatch.setattr(pipelines.indexing, "_BLOCK_CHARACTERS", 100)
    documents = [Document(content="x" * 60) for _ in range(5)]
    assert [len(block) for block in pipelines.indexing.blocks_of(documents)] == [2, 2, 1]


def test_a_rerun_embeds_nothing_again(steps, store):
    first = index(articles(4), steps, store)
    counting = Counting(steps["embedder"])
    again = index(articles(5), {**steps, "embedder": counting}, store)
    assert (again.existing, again.deleted) == (first.passages, 0)
    assert counting.given == again.written == again.passages - first.passages > 0
    assert again.to_json()["read"] == 5


def test_a_changed_document_takes_its_own_place(steps, store):
    index(articles(3), steps, store)
    before = {d.id for d in store.storage.values() if d.meta["source_id"] == "a1"}
    changed = [*articles(1), Document(id="a1", content="A new text."), Document(id="a2", content=" ")]
    counts = index(changed, steps, store)
    after = [d for d in store.storage.values() if d.meta["source_id"] == "a1"]
    assert [d.content for d in after] == ["A new text."]
    assert not any(d.meta["source_id"] == "a2" for d in store.storage.values())
    assert counts.deleted == 2 * len(before)
    assert (counts.written, counts.empty) == (1, 1)


def test_empty_duplicate_and_broken_documents_are_counted(steps, store, caplog):
    documents = [
        *articles(1),
        *articles(1),
        Document(id="a0", content="Another text."),
        Document(id="empty", content=" \n"),
        Document(id="none", content=None),
        Document(id="broken", content="half \ud800 a letter"),
    ]
    counts = index(documents, steps, store).to_json()
    assert (counts["read"], counts["indexed"], counts["duplicates"], counts["empty"]) == (6, 1, 1, 2)
    assert counts["unreadable"] == 2
    assert [failure["id"] for failure in counts["failures"]] == ["a0", "broken"]
    assert "broken" in caplog.text
    assert counts["written"] == store.count_documents()


def test_a_long_document_is_indexed_whole(steps, store):
    text = " ".join(article(n, 40) for n in range(12))
    counts = index([Document(id="long", content=text)], steps, store)
    passages = sorted(store.storage.values(), key=lambda d: d.meta["split_id"])
    assert "".join("".join(d.content for d in passages).split()) == "".join(text.split())
    assert counts.written == len(passages) > 50


def test_an_error_ends_the_run_and_a_rerun_completes(steps, store, monkeypatch):
    monkeypatch.setattr(pipelines.indexing, "_BLOCK_DOCUMENTS", 2)

    def breaking():
        yield from articles(5)
        raise InputError("line 6 is broken")

    with pytest.raises(InputError, match="line 6"):
        index(breaking(), steps, store)
    assert store.count_documents() > 0
    counts = index(articles(6), steps, store)
    assert counts.existing > 0
    assert counts.passages == store.count_documents()


def test_counts_that_do_not_add_up_are_a_bug():
    with pytest.raises(AssertionError, match="documents"):
        IndexCounts(read=1).to_json()
    with pytest.raises(AssertionError, match="passages"):
        IndexCounts(passages=1).to_json()


def test_what_is_indexed_is_found(steps, store, tiny_model):
    index(articles(6), steps, store)
    some = next(iter(store.storage.values()))
    best = InMemoryEmbeddingRetriever(store, top_k=1).run(some.embedding)["documents"][0]
    assert best.id == some.id


def test_a_pipeline_with_a_converter_and_in_yaml(tiny_model, tmp_path):
    (tmp_path / "note.txt").write_text(article(1), encoding="utf-8")
    steps = LRLDocumentSplitter("eng", str(tiny_model)), LRLDocumentEmbedder(str(tiny_model), progress_bar=False)
    built = build_indexing(*steps, LRLDocumentWriter(InMemoryDocumentStore()), TextFileToDocument())
    loaded = Pipeline.loads(built.dumps())
    done = loaded.run({"converter": {"sources": [tmp_path / "note.txt"]}})
    assert done["writer"]["documents_written"] > 1


def test_the_yaml_loads_without_an_allowlist_and_without_a_server():
    pytest.importorskip("haystack_integrations.document_stores.opensearch", reason="the extra opensearch is missing")
    with (Path(__file__).parents[2] / "pipelines" / "indexing.yaml").open(encoding="utf-8") as file:
        pipeline = Pipeline.load(file)
    assert pipeline.get_component("splitter").language == "epo"
    writer = pipeline.get_component("writer")
    assert writer.document_store.to_dict()["init_parameters"]["create_index"] is False
    assert set(Pipeline.loads(pipeline.dumps()).graph) == {"converter", "splitter", "embedder", "writer"}


# files


def test_documents_of_all_kinds_are_read(tmp_path):
    write_jsonl(tmp_path / "corpus.jsonl", [{"_id": "1", "title": "Tomatoj", "text": "Ruĝaj.", "url": "u", "n": 3}])
    lines = "".join(json.dumps(row) + "\n" for row in ({"id": 2, "content": "B", "meta": {"k": [1]}}, {"text": "C"}))
    (tmp_path / "more.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "a.txt").write_text("Saluton.", encoding="utf-8")
    (tmp_path / "b.md").write_text("# Kapo", encoding="utf-8")
    (tmp_path / ".hidden.txt").write_text("no", encoding="utf-8")
    (tmp_path / "image.png").write_bytes(b"\x89")
    read = {document.content: document for document in read_documents([tmp_path])}
    assert list(read) == ["Saluton.", "# Kapo", "Tomatoj Ruĝaj.", "B", "C"]
    assert read["Tomatoj Ruĝaj."].id == "1"
    assert read["Tomatoj Ruĝaj."].meta == {"title": "Tomatoj", "url": "u", "n": 3}
    assert (read["B"].id, read["B"].meta) == ("2", {"k": [1]})
    assert read["Saluton."].meta["file_path"] == "a.txt"


def test_parquet_is_read_here_and_at_a_url(tmp_path):
    from pyarrow import Table
    from pyarrow.parquet import write_table

    rows = [{"_id": f"{n}", "title": "T", "text": f"Teksto {n}.", "n": n} for n in range(5)]
    write_table(Table.from_pylist(rows), tmp_path / "corpus.parquet", row_group_size=2)
    read = list(read_documents([tmp_path]))
    assert [(d.id, d.content, d.meta) for d in read][4] == ("4", "T Teksto 4.", {"title": "T", "n": 4})
    assert list(read_documents([f"file://{tmp_path}"])) == read
    assert [d for source in sources_of([tmp_path]) for d in read_source(source)] == read


def test_a_files_id_is_its_place_and_not_its_text(tmp_path):
    note = tmp_path / "a.txt"
    note.write_text("before", encoding="utf-8")
    (before,) = read_documents([note])
    note.write_text("after", encoding="utf-8")
    (after,) = read_documents([tmp_path])
    assert (before.id, after.content) == (after.id, "after")


def test_files_left_out_are_named(tmp_path, caplog):
    (tmp_path / "image.png").write_bytes(b"\x89")
    assert list(read_documents([tmp_path])) == []
    assert "1 .png" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.png", b"x", r"a\.png is of no kind"),
        ("a.jsonl", b'{"_id": "1"}', "line 1 has the columns _id but not 'text'"),
        ("a.jsonl", b'{"text": "x"}\nnot json', "line 2 is not valid JSON"),
        ("a.jsonl", b'{"content": "x", "meta": [1]}', "line 1 has a title or meta"),
        ("a.jsonl", b'{"text": "x", "title": 5}', "line 1 has a title or meta"),
        ("a.jsonl", b'{"text": "x", "embedding": 5}', "line 1 has the metadata 'embedding'"),
        ("a.txt", b"\xff\xfe\xff", r"a\.txt cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        list(read_documents([tmp_path / name]))


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="neither a file nor a folder"):
        list(read_documents([tmp_path / "none"]))


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(pipelines.reading._CONVERTERS, ".pdf", ("NoSuchConverter", "pypdf"))
    import haystack.components.converters as converters

    def missing():
        raise ImportError("pypdf")

    monkeypatch.setattr(converters, "NoSuchConverter", missing, raising=False)
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(MissingExtraError, match="pip install pypdf"):
        list(read_documents([tmp_path]))
