"""Documents a second into a real OpenSearch: this package's indexing against Haystack's stock pipeline, alternating.

Usage:
    OMP_NUM_THREADS=1 taskset -c 0 python eval/indexing_speed.py --model MINILM --corpus epo-globalvoices \
        --language epo --hosts http://localhost:9200 --output eval/results/indexing_speed.json

`stock` is JSONConverter, DocumentSplitter (its default: 200 words), SentenceTransformersDocumentEmbedder and
DocumentWriter in a Haystack pipeline; `stock, whole text` the same with passages of --words words, few enough that the
embedder does not cut them, so that it embeds as much of the text as ours does. Each round writes into a new index, with
the same mappings. Time is that of the whole job with loaded models, until the documents can be searched. Passages and
tokens that the embedder reads are given for each, since splitters cut differently. Seconds of the processor, without
those of the server, are given beside those of the clock, since other work on the machine counts only in the latter.
"""

import argparse
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from haystack import Pipeline
from haystack.components.converters import JSONConverter
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ByteStream
from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_integrations.components.writers.lrl import LRLDocumentWriter
from haystack_lrl.encoding.counting import TokenCounter
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.records.jsonl import write_json
from pipelines.document_store import build_document_store
from pipelines.indexing import index_documents
from pipelines.reading import read_documents
from pipelines.server import Server

_PACKAGES = ("haystack-ai", "opensearch-haystack", "sentence-transformers-haystack", "torch", "openvino")
_KINDS = ("seconds", "processor_seconds")
Job = Callable[[OpenSearchDocumentStore], None]


def stock_job(model: str, corpus: Path, words: int) -> Job:
    """Return the stock pipeline as a job; the embedder is loaded now."""
    embedder = SentenceTransformersDocumentEmbedder(model=model, progress_bar=False)
    embedder.warm_up()
    rows = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    sources = [ByteStream.from_string(json.dumps(row), meta={"doc_id": row["_id"]}) for row in rows]

    def run(store: OpenSearchDocumentStore) -> None:
        pipeline = Pipeline()
        pipeline.add_component("converter", JSONConverter(content_key="text"))
        pipeline.add_component("splitter", DocumentSplitter(split_length=words))
        # the same loaded weights for each round: a component belongs to one pipeline
        pipeline.add_component("embedder", SentenceTransformersDocumentEmbedder(model=model, progress_bar=False))
        pipeline.add_component("writer", DocumentWriter(store))
        pipeline.connect("converter", "splitter")
        pipeline.connect("splitter", "embedder")
        pipeline.connect("embedder", "writer")
        pipeline.run({"converter": {"sources": sources}})

    return run


def our_job(model: str, corpus: Path, language: str, backend: Any) -> Job:  # noqa: ANN401
    """Return this package's indexing as a job; tokenizer and model are loaded now."""
    splitter = LRLDocumentSplitter(language, model)
    embedder = LRLDocumentEmbedder(model, backend=backend, progress_bar=False)
    splitter.warm_up()
    embedder.warm_up()

    def run(store: OpenSearchDocumentStore) -> None:
        writer = LRLDocumentWriter(store)
        counts = index_documents(read_documents([corpus]), splitter=splitter, embedder=embedder, writer=writer)
        assert counts.to_json()["failed"] == 0
        writer.close()

    return run


def measured(job: Job, store: OpenSearchDocumentStore, server: Server, counter: TokenCounter) -> dict[str, Any]:
    """Run a job into an empty index and return seconds and what lies in the index afterwards."""
    assert store.count_documents() == 0
    clock, processor = time.perf_counter(), time.process_time()
    job(store)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    passages = store.filter_documents()
    tokens = counter([passage.content or "" for passage in passages])
    limit = counter.budget_of()
    with server.client() as client:
        client.indices.delete(index=store.to_dict()["init_parameters"]["index"])
    return {
        "seconds": clock,
        "processor_seconds": processor,
        "load": os.getloadavg()[0],
        "passages": len(passages),
        "ids": len({passage.id for passage in passages}),
        "documents": len({passage.meta.get("doc_id", passage.meta.get("source_id")) for passage in passages}),
        "tokens_embedded": sum(min(limit, count) for count in tokens),
        "tokens_cut_off": sum(max(0, count - limit) for count in tokens),
    }


def rounds_of(
    jobs: dict[str, Job], options: argparse.Namespace, counter: TokenCounter
) -> dict[str, list[dict[str, Any]]]:
    """Run all jobs in turn, and check that none lost or doubled a document."""
    server = Server(options.hosts)
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    for number in range(options.rounds):
        for name, job in jobs.items():
            store = build_document_store(
                options.language, Path(options.model), server, name=f"speed-{list(jobs).index(name)}-{number}"
            )
            row = measured(job, store, server, counter)
            assert row["documents"] == options.documents, f"{name}: {row}"
            assert row["ids"] == row["passages"]
            taken[name].append(row)
            print(name, f"{options.documents / row['seconds']:.2f} documents/s", row, flush=True)
    return taken


def summary(taken: dict[str, list[dict[str, Any]]], documents: int) -> dict[str, Any]:
    """Return rates, and the ratio of our rate to each other's in the same round."""
    told: dict[str, Any] = {}
    for name, rows in taken.items():
        fixed = {key: rows[0][key] for key in ("documents", "passages", "tokens_embedded", "tokens_cut_off")}
        told[name] = {**fixed, "documents_per_second": _rates(rows, documents, "seconds")}
        told[name]["load"] = [round(row["load"], 1) for row in rows]
        told[name]["documents_per_processor_second"] = _rates(rows, documents, "processor_seconds")
        if name != "ours":
            told[name]["ours_is_faster_by"] = {kind: _ratios(taken["ours"], rows, kind) for kind in _KINDS}
    return told


def _ratios(ours: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], key: str) -> dict[str, Any]:
    ratios = [other[key] / own[key] for own, other in zip(ours, others, strict=True)]
    return {"median": round(statistics.median(ratios), 2), "rounds": [round(ratio, 2) for ratio in ratios]}


def _rates(rows: Sequence[dict[str, Any]], documents: int, key: str) -> dict[str, Any]:
    rates = [documents / row[key] for row in rows]
    return {"median": round(statistics.median(rates), 2), "rounds": [round(rate, 2) for rate in rates]}


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "corpus", "language", "hosts", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--words", type=int, default=100, help="of a passage that the stock embedder reads whole")
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        with gzip.open(Path(options.corpus) / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
            corpus.write_text("".join(islice(lines, options.documents)), encoding="utf-8")
        jobs = {
            "stock": stock_job(options.model, corpus, 200),
            "stock, whole text": stock_job(options.model, corpus, options.words),
            "ours": our_job(options.model, corpus, options.language, options.backend),
        }
        taken = rounds_of(jobs, options, TokenCounter.from_path(options.model))
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in _PACKAGES} | {"python": sys.version.split()[0]},
        "corpus": Path(options.corpus).name,
        "backend": options.backend,
        "words_of_whole_text": options.words,
        "results": summary(taken, options.documents),
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(outcome["results"], indent=2))


if __name__ == "__main__":
    main()
