"""What Ray costs: rows per second of two workers on Ray against two local processes with half of the rows each.

Usage:
    python eval/ray_overhead.py --language epo --seeds SEEDS.jsonl --translator "command:apertium -u en-eo" \
        --work runs/ray --output eval/results/ray_overhead.json

Both run the command line, `translate`, on the same rows, in turns. Rows per second are counted from the moment when
each process or worker has written its first rows until the last one is there; the time before is start-up, and is
given by itself. The rows of both are compared by their keys.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.records.jsonl import dump_line, read_jsonl, write_json, writing

_POLL = 0.05  # seconds


@dataclass(frozen=True)
class Timing:
    """One run.

    :param start_up: seconds until every process has written rows.
    :param rate: rows per second from then on.
    :param seconds: of the whole.
    """

    start_up: float
    rate: float
    seconds: float


class Growing:
    """Counts the lines of a file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(path.name + ".partial")
        self.lines = self._place = 0

    def look(self) -> int:
        """Return how many lines there are by now."""
        path = self.partial if self.partial.exists() else self.path
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._place)
                new = file.read()
            self._place += len(new)
            self.lines += new.count(b"\n")
        return self.lines


def timed(commands: Sequence[Sequence[str]], outputs: Sequence[Path], rows: int) -> Timing:
    """Run commands at the same time, and watch their outputs grow to so many rows."""
    for output in outputs:
        output.unlink(missing_ok=True)
    start = time.monotonic()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    files = [Growing(output) for output in outputs]
    first = first_rows = done = 0.0
    while any(process.poll() is None for process in running) or not done:
        counts = [file.look() for file in files]
        now = time.monotonic()
        if not first and all(counts):
            first, first_rows = now, sum(counts)
        if sum(counts) >= rows:
            done = done or now
        elif all(process.poll() for process in running):
            raise SystemExit("A command failed.")
        time.sleep(_POLL)
    return Timing(first - start, (rows - first_rows) / (done - first), time.monotonic() - start)


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("language", "seeds", "translator", "work", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    work = Path(options.work)
    inputs = [work / name for name in ("all.jsonl", "first.jsonl", "second.jsonl")]
    rows = numbered(Path(options.seeds), options.rows)
    for path, some in zip(inputs, (rows, rows[: options.rows // 2], rows[options.rows // 2 :]), strict=True):
        with writing(path) as file:
            file.writelines(map(dump_line, some))
    outputs = [path.with_suffix(".made.jsonl") for path in inputs]
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's spelling; the local processes give way to nobody either

    def command(source: Path, output: Path, *engine: str) -> list[str]:
        given = {"language": options.language, "seeds": source, "translator": options.translator, "output": output}
        pairs = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        return [sys.executable, "-m", "haystack_lrl.cli", "translate", *pairs, "--max-copied", "1", "--quiet", *engine]

    ray = [command(inputs[0], outputs[0], "--engine", "ray", "--workers", "2")]
    local = [command(*places) for places in zip(inputs[1:], outputs[1:], strict=True)]
    timings: dict[str, list[Timing]] = {"local": [], "ray": []}
    for _ in range(options.rounds):
        timings["local"].append(timed(local, outputs[1:], options.rows))
        timings["ray"].append(timed(ray, outputs[:1], options.rows))
        print(timings["local"][-1], timings["ray"][-1], flush=True)
        keys = [{row["key"] for path in some for _, row in read_jsonl(path)} for some in (outputs[:1], outputs[1:])]
        if keys[0] != keys[1]:
            raise SystemExit("The engines made different rows.")
    ratios = [r.rate / own.rate for r, own in zip(timings["ray"], timings["local"], strict=True)]
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("haystack-lrl", "ray")} | {"python": sys.version.split()[0]},
        "rows": options.rows,
        "translator": options.translator,
        "ratio ray/local": {"median": statistics.median(ratios), "rounds": ratios},
        **{name: [asdict(timing) for timing in some] for name, some in timings.items()},
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(outcome["ratio ray/local"]))


def numbered(seeds: Path, count: int) -> list[dict[str, str]]:
    """Return so many different rows, the seeds again and again with a number behind each query."""
    known = [row for _, row in read_jsonl(seeds)]
    turns = ({"query": f"{row['query']} {turn}", "passage": row["passage"]} for turn in range(count) for row in known)
    return list(islice(turns, count))


if __name__ == "__main__":
    main()
