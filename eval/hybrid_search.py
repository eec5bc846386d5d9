"""Search by words, by vectors and by both on a real OpenSearch, through the pipelines that are deployed.

Usage:
    python eval/hybrid_search.py --host http://localhost:9200 --language epo --test-set FOLDER --model FOLDER \
        --output eval/results/hybrid_search.json

The test set is a BEIR folder. Its documents are indexed twice, whole and cut into passages that the model reads
entirely; a document counts as its best passage does. Intervals and paired differences are over queries. Weights of
the fusion are cross-fitted: what tuning on as many real queries would bring to others. Latency is of one query after
another, from text to documents, the query's embedding included.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from haystack import Document, Pipeline
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from numpy.typing import NDArray

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from haystack_integrations.components.preprocessors.lrl import LRLDocumentSplitter
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.approximate import approximate_recall
from haystack_lrl.evaluation.fusion_weight import tune_weight
from haystack_lrl.evaluation.metrics import METRICS, PRIMARY, PerQuery, measure
from haystack_lrl.evaluation.statistics import bootstrap, paired
from haystack_lrl.evaluation.testset import TestSet, load_test_set
from haystack_lrl.records.jsonl import write_json
from pipelines.document_store import build_document_store
from pipelines.rankings import by_document
from pipelines.retrieval import Mode, build_search, joiner_of, search, search_inputs, search_parts
from pipelines.server import Server

_DEPTH = 100  # documents a ranking is judged to: R@100
_NEAREST = 10
_TIMED = 300  # queries whose time is taken
MODES: tuple[Mode, ...] = ("hybrid", "bm25", "dense")
_BM25, _DENSE, _SCORES, _RANKS = "BM25", "dense", "hybrid, scores", "hybrid, reciprocal ranks"


@dataclass(frozen=True)
class Index:
    """What was indexed: the store and the documents with their vectors."""

    store: OpenSearchDocumentStore
    documents: list[Document]


@dataclass(frozen=True)
class Asked:
    """What was found for one query, and its vector of shape (dimensions,)."""

    lexical: list[Document]
    dense: list[Document]
    vector: NDArray[np.float64]


def main() -> None:
    """Index, rank, measure, and write the table."""
    options = parsed()
    test_set = load_test_set(options.test_set, options.language)
    outcome: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("opensearch-haystack", "haystack-ai", "ir-measures")}
        | {"python": sys.version.split()[0]},
        "test set": {"queries": len(test_set.queries), "documents": len(test_set.documents)},
        "backend": options.backend,
        "indices": {},
    }
    values: dict[str, PerQuery] = {}
    for kind in ("documents", "passages"):
        index = indexed(options, test_set, kind)
        outcome["indices"][kind], found = measured(options, test_set, index)
        values |= {f"{name}, {kind}": value for name, value in found.items()}
        write_json(options.output, outcome)
        print(json.dumps({kind: outcome["indices"][kind]}, indent=2), flush=True)
    best = max((name for name in values if name.startswith(_BM25)), key=lambda name: values[name][PRIMARY].mean())
    outcome["against the best BM25"] = {
        "which": best,
        **{name: paired(value[PRIMARY], values[best][PRIMARY]).to_json() for name, value in values.items()},
    }
    write_json(options.output, outcome)
    print(json.dumps(outcome["against the best BM25"], indent=2))


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", required=True)
    parser.add_argument("--language", required=True)
    parser.add_argument("--test-set", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--output", required=True, type=Path)
    return parser.parse_args()


def indexed(options: argparse.Namespace, test_set: TestSet, kind: str) -> Index:
    """Write the documents, whole or cut, into an index of their own."""
    documents = [Document(id=name, content=text) for name, text in test_set.documents.items()]
    if kind == "passages":
        splitter = LRLDocumentSplitter(options.language, str(options.model))
        splitter.warm_up()
        documents = splitter.run(documents)["documents"]
    embedder = LRLDocumentEmbedder(str(options.model), backend=options.backend, progress_bar=False)
    embedded = embedder.run(documents)["documents"]
    store = build_document_store(
        options.language, options.model, Server(options.host), name=f"hybrid-search-{kind}", return_embedding=False
    )
    store.write_documents(embedded, policy=DuplicatePolicy.OVERWRITE, refresh=True)
    return Index(store, embedded)


def measured(
    options: argparse.Namespace, test_set: TestSet, index: Index
) -> tuple[dict[str, Any], dict[str, PerQuery]]:
    """Return the figures of one index, and the values per query of each system.

    Both retrievers are asked once, by the pipeline of the hybrid; each joiner fuses what they found.
    """
    pipeline = pipeline_of(options, index, "hybrid")
    asked = {name: ask(pipeline, text) for name, text in test_set.queries.items()}
    scores = joiner_of(index.store, top_k=None)
    ranks = joiner_of(index.store, fusion="reciprocal-rank", top_k=None)
    rankings = {
        _BM25: {name: found.lexical for name, found in asked.items()},
        _DENSE: {name: found.dense for name, found in asked.items()},
        _SCORES: {name: scores.run(found.lexical, found.dense)["documents"] for name, found in asked.items()},
        _RANKS: {name: ranks.run(found.lexical, found.dense)["documents"] for name, found in asked.items()},
    }
    runs = {
        system: {name: by_document(found) for name, found in ranking.items()} for system, ranking in rankings.items()
    }
    values = {system: measure(test_set, run) for system, run in runs.items()}
    cosines = {name: {each: 2 * score - 1 for each, score in run.items()} for name, run in runs[_DENSE].items()}
    return {
        "indexed": len(index.documents),
        "systems": {
            name: {metric: bootstrap(value[metric]).to_json() for metric in METRICS}
            | {"minus BM25": paired(value[PRIMARY], values[_BM25][PRIMARY]).to_json()}
            for name, value in values.items()
        },
        "tuned weight, cross-fitted": tune_weight(test_set, runs[_BM25], cosines).to_json(),
        "approximate nearest neighbours, share of the exact ten": recall(index, asked.values()),
        "latency, milliseconds": {mode: latency(pipeline_of(options, index, mode), test_set.queries) for mode in MODES},
    }, values


def ask(pipeline: Pipeline, text: str) -> Asked:
    """Return what both retrievers found, and the query's vector."""
    data = search_inputs(pipeline, text, top_k=_DEPTH)
    outputs = pipeline.run(data, include_outputs_from={"embedder", "bm25", "dense"})
    return Asked(
        outputs["bm25"]["documents"], outputs["dense"]["documents"], np.array(outputs["embedder"]["embedding"])
    )


def pipeline_of(options: argparse.Namespace, index: Index, mode: Mode) -> Pipeline:
    """Return a pipeline as it is deployed, warm."""
    embedder = LRLTextEmbedder(str(options.model), backend=options.backend, progress_bar=False)
    pipeline = build_search(**search_parts(index.store, embedder, mode))
    pipeline.warm_up()
    return pipeline


def recall(index: Index, asked: Iterable[Asked]) -> float:
    """Return the mean share of the ten nearest by exact cosine that are among the server's first ten."""
    vectors = np.array([document.embedding for document in index.documents])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact, found = {}, {}
    for place, query in enumerate(asked):
        cosines = vectors @ (query.vector / np.linalg.norm(query.vector))
        # rounded, since equal texts may stand in for each other
        scores = zip(index.documents, np.round(cosines, 6).tolist(), strict=True)
        exact[str(place)] = {document.id: score for document, score in scores}
        found[str(place)] = {document.id: document.score or 0.0 for document in query.dense}
    return float(approximate_recall(exact, found, _NEAREST).mean())


def latency(pipeline: Pipeline, queries: Mapping[str, str]) -> dict[str, float]:
    """Return percentiles of a query's time in milliseconds, after a tenth of them as warm-up."""
    texts = list(queries.values())[:_TIMED]
    for text in texts[: len(texts) // 10]:
        search(pipeline, text)
    times = []
    for text in texts:
        started = time.perf_counter()
        search(pipeline, text)
        times.append(1000 * (time.perf_counter() - started))
    return {f"p{share}": float(np.percentile(times, share)) for share in (50, 95, 99)}


if __name__ == "__main__":
    main()
