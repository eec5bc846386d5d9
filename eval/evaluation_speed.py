"""Exact search at the size of a large evaluation: time and memory, beside sentence-transformers' semantic_search.

Usage:
    OMP_NUM_THREADS=1 python eval/evaluation_speed.py --passages 1000000 --queries 1000 \
        --output eval/results/evaluation_speed.json

Vectors are random, of unit length; a query is a passage with noise. Times are processor seconds of one thread. Memory
is the highest resident set during the search, less the one before it, which holds the vectors. The two rankings hold
the same documents, except where sums in another order round differently at the last place.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.util import dot_score, semantic_search

from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.encoding.search import top_k
from haystack_lrl.evaluation.statistics import bootstrap
from haystack_lrl.records.jsonl import write_json

_DIMENSIONS = 384
_SLICE = 10_000  # passages made at a time


def _vectors(passages: int, queries: int) -> tuple[Vectors, Vectors]:
    rng = np.random.default_rng(0)
    found = np.empty((passages, _DIMENSIONS), dtype=np.float32)
    for start in range(0, passages, _SLICE):
        some = rng.standard_normal((min(_SLICE, passages - start), _DIMENSIONS), dtype=np.float32)
        found[start : start + _SLICE] = some / np.linalg.norm(some, axis=1, keepdims=True)
    noise = rng.standard_normal((queries, _DIMENSIONS), dtype=np.float32) / _DIMENSIONS**0.5
    asked = found[rng.choice(passages, queries, replace=False)] + noise
    return asked / np.linalg.norm(asked, axis=1, keepdims=True), found


def _resident(field: str) -> int:
    """Return a field of this process's status in KiB: `VmRSS`, or `VmHWM` for the highest since it was reset."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _measured(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets VmHWM
    before, start = _resident("VmRSS"), time.process_time()
    result = work()
    seconds = time.process_time() - start
    return {"seconds": round(seconds, 2), "memory_mib": round((_resident("VmHWM") - before) / 1024, 1)}, result


def _agreement(ours: npt.NDArray[np.intp], theirs: list[list[dict[str, Any]]]) -> float:
    """Return the mean share of documents that both found."""
    rows = zip(ours, theirs, strict=True)
    return float(
        np.mean([len({hit["corpus_id"] for hit in hits} & set(own.tolist())) / len(own) for own, hits in rows])
    )


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    queries, passages = _vectors(options.passages, options.queries)
    asked, known = torch.from_numpy(queries), torch.from_numpy(passages)
    rows = []
    for k in (100, 1000):
        ours, (_, found) = _measured(lambda k=k: top_k(queries, passages, k))
        theirs, hits = _measured(lambda k=k: semantic_search(asked, known, top_k=k, score_function=dot_score))
        rows.append({"k": k, "top_k": ours, "semantic_search": theirs, "same_documents": _agreement(found, hits)})
    values = np.random.default_rng(1).random(10_000)
    resampling, _ = _measured(lambda: bootstrap(values, resamples=10_000))
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("numpy", "torch", "sentence-transformers")},
        "passages": options.passages,
        "queries": options.queries,
        "dimensions": _DIMENSIONS,
        "search": rows,
        "bootstrap_of_10000_queries": {"resamples": 10_000, **resampling},
    }
    write_json(Path(options.output), outcome)
    print(json.dumps({key: outcome[key] for key in ("search", "bootstrap_of_10000_queries")}, indent=2))


if __name__ == "__main__":
    main()
