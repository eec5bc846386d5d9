"""What `memory.py` and `mining_memory.py` share: peak memory over more and more rows, each in a process of its own."""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.records.jsonl import write_json

Figures = Mapping[str, float]
Stage = Callable[[int, Path], Figures | None]
"""Works on so many rows in a folder, and may return what else is to be reported."""


def peak_mib() -> float:
    """Return the highest resident memory of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(stage: Stage, rows: int, folder: Path) -> Figures:
    """Run a stage in this process; `before_mib` is what the libraries alone take."""
    before, start = peak_mib(), time.monotonic()
    found = stage(rows, folder) or {}
    seconds = time.monotonic() - start
    return {"before_mib": round(before, 1), "peak_mib": round(peak_mib(), 1), "seconds": round(seconds, 1), **found}


def main(description: str, stages: Mapping[str, Stage], facts: Figures) -> None:
    """Run the stages over each size, and write the result.

    :param facts: what else the result says.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[int, Figures]] = {name: {} for name in stages}
    for name, stage in stages.items():
        for rows in options.rows:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                results[name][rows] = process.submit(measured, stage, rows, options.work).result()
            print(name, rows, results[name][rows], flush=True)
            for file in options.work.iterdir():
                file.unlink()
    growth = {name: sizes[max(sizes)]["peak_mib"] / sizes[min(sizes)]["peak_mib"] for name, sizes in results.items()}
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {"haystack-lrl": version("haystack-lrl"), "python": sys.version.split()[0]},
        **facts,
        "stages": results,
        "growth": growth,
    }
    write_json(options.output, outcome)
    print(json.dumps(growth, indent=2))
