"""Our embedders against Haystack's own in one run: documents per second, latency of a query, what each path costs.

Usage:
    OMP_NUM_THREADS=1 taskset -c 0 python eval/embedder_speed.py --model MINILM --test-set epo=FOLDER \
        --test-set amh=FOLDER --work exports --output eval/results/embedder_speed.json

`stock` is SentenceTransformersDocumentEmbedder and SentenceTransformersTextEmbedder with the same model. Rounds
alternate over the first documents of each test set, spread over it; cosines and nDCG@10 are over all of it. Exports are
made in --work unless they lie there, calibrated on texts of the test set, whose judgements play no part in that.
Seconds of the processor are given beside those of the clock, since other work on the machine counts only in the latter:
with one thread the two agree on a quiet machine. A share of the peak is that of the fastest matrix product of torch in
the same arithmetic, measured in the same run; a document counts the multiplications of its own tokens, no padding.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from haystack import Document
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder, LRLTextEmbedder
from haystack_lrl.adaptation.export.folder import write_export
from haystack_lrl.encoding.encoder import Vectors, load_model, model_prompts
from haystack_lrl.encoding.exported import Format
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.encoding.search import top_k
from haystack_lrl.encoding.sources import locate
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.statistics import paired
from haystack_lrl.evaluation.testset import TestSet, load_test_set
from haystack_lrl.exporting import Evidence
from haystack_lrl.records.jsonl import write_json

_PACKAGES = ("haystack-ai", "sentence-transformers-haystack", "sentence-transformers", "torch", "openvino", "nncf")
_ARITHMETIC: dict[str, str] = {
    "stock": "fp32",
    "openvino-bf16": "bf16",
    "openvino-int8-weights": "int8",
    "openvino-int8": "int8",
}
_FORMATS: tuple[Format, ...] = ("openvino-bf16", "openvino-int8-weights", "openvino-int8")
_QUERIES_IN_TURN = 20
Taken = dict[str, list[dict[str, float]]]


def peaks() -> dict[str, float]:
    """Return billions of operations a second of a feed-forward layer's product in each arithmetic."""
    rows, width, inner = 1024, 384, 1536
    inputs, weights = torch.randn(rows, width), torch.randn(inner, width)
    small, narrow = torch.randint(-127, 127, (rows, width)).char(), torch.randint(-127, 127, (inner, width)).char()
    halves = inputs.bfloat16(), weights.bfloat16()
    products: dict[str, Callable[[], object]] = {
        "fp32": lambda: torch.nn.functional.linear(inputs, weights),
        "bf16": lambda: torch.nn.functional.linear(*halves),
        "int8": lambda: torch._int_mm(small, narrow.t()),
    }
    operations = 2 * rows * width * inner
    least = {kind: min(_seconds(product)["processor"] for _ in range(50)) for kind, product in products.items()}
    return {kind: round(operations / seconds / 1e9, 1) for kind, seconds in least.items()}


def _seconds(work: Callable[[], object]) -> dict[str, float]:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}


def make_exports(model: str, test_set: Path, language: str, work: Path) -> None:
    """Write the exports that are not there."""
    evidence = Evidence.of(language, None, test_set)
    for kind in _FORMATS:
        folder = work / kind
        if not (folder / "export.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            loaded = load_model(model, device="cpu")
            texts = evidence.calibration(model_prompts(loaded))
            write_export(loaded, folder, kind, locate(model).identity, texts)


def document_rates(embedders: Mapping[str, Any], documents: Sequence[Document], rounds: int) -> dict[str, Any]:
    """Time the embedders in turn; return rates, and their ratios to `stock` of the same round."""
    taken: Taken = {name: [] for name in embedders}
    for embedder in embedders.values():
        embedder.run(documents=list(documents[:8]))
    for _ in range(rounds):
        for name, embedder in embedders.items():
            taken[name].append(_seconds(partial(embedder.run, documents=list(documents))))
            print(
                name, {kind: f"{len(documents) / value:.1f}/s" for kind, value in taken[name][-1].items()}, flush=True
            )
    return {name: _rates(own, taken["stock"], len(documents)) for name, own in taken.items()}


def _rates(own: Sequence[dict[str, float]], stock: Sequence[dict[str, float]], documents: int) -> dict[str, Any]:
    outcome: dict[str, Any] = {}
    for kind in ("clock", "processor"):
        ratios = [theirs[kind] / ours[kind] for ours, theirs in zip(own, stock, strict=True)]
        outcome[kind] = {
            "documents_per_second": round(documents / statistics.median(times[kind] for times in own), 1),
            "ratio": round(statistics.median(ratios), 2),
            "ratio_of_each_round": [round(ratio, 2) for ratio in ratios],
        }
    return outcome


def query_latencies(embedders: Mapping[str, Any], queries: Sequence[str]) -> dict[str, Any]:
    """Time single queries, some of one embedder after some of the other."""
    taken: Taken = {name: [] for name in embedders}
    for start in range(0, len(queries), _QUERIES_IN_TURN):
        for name, embedder in embedders.items():
            embedder.run(text="warm")
            for query in queries[start : start + _QUERIES_IN_TURN]:
                taken[name].append(_seconds(partial(embedder.run, text=query)))
    return {name: {kind: _latency(own, taken["stock"], kind) for kind in own[0]} for name, own in taken.items()}


def _latency(own: Sequence[dict[str, float]], stock: Sequence[dict[str, float]], kind: str) -> dict[str, float]:
    times, theirs = [[1000 * taken[kind] for taken in rows] for rows in (own, stock)]
    p50 = statistics.median(times)
    return {
        "p50_ms": round(p50, 2),
        "p95_ms": round(float(np.quantile(times, 0.95)), 2),
        "ratio_of_p50": round(statistics.median(theirs) / p50, 2),
    }


def quality(embedders: Mapping[str, Any], test_set: TestSet) -> dict[str, Any]:
    """Compare every document's vector, and nDCG@10, with those of `stock`."""
    outcome: dict[str, Any] = {}
    before, whole = np.zeros(0), np.zeros((0, 0), dtype=np.float32)
    for name, embedder in embedders.items():
        passages, queries = _vectors(embedder, test_set.documents), _vectors(embedder, test_set.queries)
        values = measure(test_set, _run(test_set, queries, passages))[PRIMARY]
        if name == "stock":
            before, whole = values, passages
        change = paired(values, before)
        outcome[name] = {
            "least_cosine": round(float((passages * whole).sum(axis=1).min()), 6),
            PRIMARY: round(float(values.mean()), 4),
            "difference": {key: round(float(value), 5) for key, value in asdict(change).items()},
        }
        print(name, outcome[name], flush=True)
    return outcome


def _vectors(embedder: Any, texts: Mapping[str, str]) -> Vectors:  # noqa: ANN401  either class
    found = embedder.run(documents=[Document(content=text) for text in texts.values()])["documents"]
    vectors = np.array([document.embedding for document in found], dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _run(test_set: TestSet, queries: Vectors, passages: Vectors) -> dict[str, dict[str, float]]:
    ids = list(test_set.documents)
    scores, found = top_k(queries, passages, 100)
    return {
        query: {ids[i]: float(score) for i, score in zip(found[row], scores[row], strict=True)}
        for row, query in enumerate(test_set.queries)
    }


def operations(model: str, texts: Sequence[str]) -> dict[str, float]:
    """Return the mean tokens of a text after the cut, and billions of multiplications and additions for it."""
    loaded = load_model(model, device="cpu")
    sizes = loaded[0].auto_model.config
    cut = loaded.tokenizer(list(texts), truncation=True, max_length=loaded.max_seq_length)["input_ids"]
    lengths = np.array([len(ids) for ids in cut], dtype=np.float64)
    weights = 4 * sizes.hidden_size**2 + 2 * sizes.hidden_size * sizes.intermediate_size
    total = sizes.num_hidden_layers * (2 * lengths * weights + 4 * lengths**2 * sizes.hidden_size)
    return {"tokens": round(float(lengths.mean()), 1), "billions": round(float(total.mean()) / 1e9, 3)}


def compare(model: str, language: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return all figures of one model on one test set."""
    work = Path(options.work) / locate(model).identity[:12] / language
    make_exports(model, folder, language, work)
    test_set = load_test_set(folder, language)
    documents: dict[str, Any] = {
        "stock": SentenceTransformersDocumentEmbedder(model=model, progress_bar=False, normalize_embeddings=True)
    }
    queries: dict[str, Any] = {
        "stock": SentenceTransformersTextEmbedder(model=model, progress_bar=False, normalize_embeddings=True)
    }
    for kind in _FORMATS:
        settings: dict[str, Any] = {"backend": kind, "exports": str(work), "normalize_embeddings": True}
        documents[kind] = LRLDocumentEmbedder(model, progress_bar=False, **settings)
        queries[kind] = LRLTextEmbedder(model, progress_bar=False, **settings)
    for embedder in (*documents.values(), *queries.values()):
        embedder.warm_up()
    texts = list(test_set.documents.values())
    texts = texts[:: max(1, len(texts) // options.documents)][: options.documents]
    peak = peaks()
    speed = document_rates(documents, [Document(content=text) for text in texts], options.rounds)
    cost = operations(model, texts)
    for name, own in speed.items():
        reached = own["processor"]["documents_per_second"] * cost["billions"]
        own["share_of_peak"] = {"arithmetic": _ARITHMETIC[name], "share": round(reached / peak[_ARITHMETIC[name]], 3)}
    return {
        "model": options.names[model],
        "test_set": test_set.name,
        "documents_timed": len(texts),
        "documents": len(test_set.documents),
        "queries": len(test_set.queries),
        "queries_timed": options.queries,
        "a_document": cost,
        "peak_in_billions_of_operations": peak,
        "speed": speed,
        "query": query_latencies(queries, list(test_set.queries.values())[: options.queries]),
        "quality": quality(documents, test_set),
    }


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, action="append", help="NAME=FOLDER")
    parser.add_argument("--test-set", required=True, action="append", help="LANGUAGE=FOLDER")
    parser.add_argument("--work", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--queries", type=int, default=100)
    options = parser.parse_args()
    models = {path: name for name, _, path in (text.partition("=") for text in options.model)}
    options.names = models
    outcome: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": {**describe_machine(), "threads": torch.get_num_threads()},
        "versions": {name: version(name) for name in _PACKAGES} | {"python": sys.version.split()[0]},
        "rounds": options.rounds,
        "results": [],
    }
    for model in models:
        for language, _, folder in (text.partition("=") for text in options.test_set):
            outcome["results"].append(compare(model, language, Path(folder), options))
            write_json(Path(options.output), outcome)
            print(json.dumps(outcome["results"][-1], indent=2), flush=True)


if __name__ == "__main__":
    main()
