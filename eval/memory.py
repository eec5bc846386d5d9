"""Peak memory of `translate` and `ask` over 10k, 100k and 1M rows, with stand-ins that answer at once.

Usage:
    python eval/memory.py --work runs/memory --output eval/results/memory.json

Each size runs in a process of its own, which reports its highest resident memory. What is measured is everything around
the model but the gate, which looks at one text at a time: keys, requests, store, counting.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.languages.table import language
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.records.pair import Pair
from haystack_lrl.records.passage import Passage
from haystack_lrl.synthesis.answers import Answer
from haystack_lrl.synthesis.asking import Asker, AskSettings, ask_file
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.translation import translate_file

EPO = language("epo")
_TEXT = "The house number {n} stands by the river, and nobody has lived in it for a long time. " * 4


class Translator:
    """Answers at once."""

    identity = {"stand-in": 1}  # noqa: RUF012

    def translate(self, items: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        """Yield the texts in capitals."""
        return (tuple(text.upper() for text in item) for item in items)


class Chat(ChatModel):
    """Answers at once."""

    def __init__(self) -> None:
        self.identity = {"stand-in": 1}

    def answers(self, questions: Iterable[Question | None]) -> Iterator[Answer]:
        """Yield the same answer, whatever is asked."""
        return ({"summary": "s", "query": f"Kie staras la domo numero {n}?"} for n, _ in enumerate(questions))


def translate(rows: int, folder: Path) -> None:
    """Translate that many pairs."""
    pairs = (Pair(f"House {n}", _TEXT.format(n=n), id=str(n)) for n in range(rows))
    translate_file(pairs, folder / f"pairs-{rows}.jsonl", Translator(), EPO, progress=False)


def ask(rows: int, folder: Path) -> None:
    """Ask about that many passages."""
    passages = (Passage(_TEXT.format(n=n), str(n)) for n in range(rows))
    ask_file(passages, folder / f"asked-{rows}.jsonl", Asker(Chat(), EPO, AskSettings(exemplars=0)), progress=False)


def measure(stage: str, rows: int, folder: Path, answers: "multiprocessing.Queue[tuple[float, float]]") -> None:
    """Run a stage in this process and report (peak MiB, seconds)."""
    start = time.monotonic()
    {"translate": translate, "ask": ask}[stage](rows, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put((peak, time.monotonic() - start))


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options = parser.parse_args()
    folder = Path(options.work)
    folder.mkdir(parents=True, exist_ok=True)
    spawn = multiprocessing.get_context("spawn")
    results: dict[str, dict[int, dict[str, float]]] = {}
    for stage in ("translate", "ask"):
        for rows in options.rows:
            answers = spawn.Queue()
            process = spawn.Process(target=measure, args=(stage, rows, folder, answers))
            process.start()
            peak, seconds = answers.get()
            process.join()
            results.setdefault(stage, {})[rows] = {"peak_mib": round(peak, 1), "seconds": round(seconds, 1)}
            print(stage, rows, results[stage][rows], flush=True)
            for file in folder.iterdir():
                file.unlink()
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {"haystack-lrl": version("haystack-lrl"), "python": sys.version.split()[0]},
        "stages": results,
        "growth": {
            stage: sizes[max(sizes)]["peak_mib"] / sizes[min(sizes)]["peak_mib"] for stage, sizes in results.items()
        },
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(outcome["growth"], indent=2))


if __name__ == "__main__":
    main()
