"""Memory and time of `translate` and `filter` on Ray over 10k, 100k and 1M rows.

Usage:
    python eval/ray_growth.py --work runs/growth --output eval/results/ray_growth.json \
        [--translator "command:apertium -u en-eo" --sentences 1] [--model FOLDER] [--rows 10000 100000 1000000]

Each size runs in a process of its own, with a Ray of two workers whose store has 200 MB. `driver_mib` and `worker_mib`
are the highest private memory of the command and of any worker, looked at twice a second: what processes share, such as
the store's pages, is not a cost of its own. The default translator is `cat`, which answers at once; without `--model`
filtering uses its text rules alone.
"""

import os
import sys
import threading
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from peak_memory import Figures, main

from haystack_lrl.curation.filtering import FilterSettings, filter_file
from haystack_lrl.engine.cluster import load_ray
from haystack_lrl.engine.encoding import EncoderSettings, encoder_on
from haystack_lrl.engine.making import run_job
from haystack_lrl.engine.settings import Engine
from haystack_lrl.languages.table import language
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.jsonl import dump_line, writing
from haystack_lrl.synthesis.jobs import Translation

_TEXT = "The house number {n} stands by the river, and nobody has lived in it for a long time. "
_STORE = 200 * 2**20
_RAY = Engine(workers=2)


class Watch:
    """Looks at the private memory of this process and of Ray's below it, until it is left."""

    def __init__(self) -> None:
        self.driver = self.worker = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.5):
            self.driver = max(self.driver, private_mib(os.getpid()))
            self.worker = max([self.worker, *map(private_mib, workers_below(os.getpid()))])


def private_mib(process: int) -> float:
    """Return the memory that a process has for itself; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)


def workers_below(process: int) -> list[int]:
    """Return the Ray workers among the children of a process and theirs."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            try:
                name = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            found += [child] if name.startswith(b"ray::") else workers_below(child)
    return found


def pairs_file(rows: int, sentences: int, folder: Path, *, translated: bool) -> Path:
    """Write that many pairs, with passages of so many sentences."""
    path = folder / f"{'pairs' if translated else 'seeds'}-{rows}.jsonl"
    with writing(path) as file:
        for n in range(rows):
            text = _TEXT.format(n=n) * sentences
            row = {"query": f"House {n}", "passage": text}
            if translated:
                row = {
                    "query": f"Domo {n}",
                    "passage": text[::-1],
                    "english_query": row["query"],
                    "english_passage": text,
                }
            file.write(dump_line(row))
    return path


def with_ray() -> None:
    """Start a Ray with little shared memory."""
    load_ray().init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=_STORE
    )


def translate(translator: str, sentences: int, rows: int, folder: Path) -> Figures:
    """Translate that many pairs, their language unchecked."""
    seeds = pairs_file(rows, sentences, folder, translated=False)
    with_ray()
    start = time.monotonic()
    with Watch() as watch:
        counts, _ = run_job(
            Translation("epo", translator, gate=None), seeds, folder / "made.jsonl", _RAY, progress=False
        )
    return figures(counts, watch, start)


def filtered(model: str, sentences: int, rows: int, folder: Path) -> Figures:
    """Filter that many pairs."""
    pairs = pairs_file(rows, sentences, folder, translated=True)
    with_ray()
    outputs = folder / "kept.jsonl", folder / "rejected.jsonl"
    settings = FilterSettings(thresholds="percentile" if model else "none", compression=0.0)
    encoder = encoder_on(EncoderSettings(model, max_length=64), _RAY) if model else nullcontext()
    start = time.monotonic()
    with Watch() as watch, encoder as scorer:
        counts = filter_file(pairs, *outputs, language("epo"), settings, scorer)
    return figures(counts, watch, start)


def figures(counts: Counts, watch: Watch, start: float) -> Figures:
    """Return what one run took, without the writing of its input and the start of Ray."""
    memory = {"driver_mib": round(watch.driver), "worker_mib": round(watch.worker)}
    return {"kept": counts.kept, "work_seconds": round(time.monotonic() - start, 1), **memory}


def given(name: str, default: str) -> str:
    """Take an option that is this benchmark's own off the command line."""
    if name not in sys.argv:
        return default
    place = sys.argv.index(name)
    value = sys.argv[place + 1]
    del sys.argv[place : place + 2]
    return value


if __name__ == "__main__":
    translator, model = given("--translator", "command:cat"), given("--model", "")
    sentences = int(given("--sentences", "4"))
    stages = {"translate": partial(translate, translator, sentences), "filter": partial(filtered, model, sentences)}
    main(__doc__, stages, {"sentences": sentences})
