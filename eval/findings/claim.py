"""From arms to a verdict: a claim holds, does not hold, or these queries and seeds cannot tell.

The unit of the statistics is the query: its value is the mean over the seeds, and differences are paired by query. That
alone would ignore that another seed may turn the result around, so that a verdict needs every seed to agree with it.
"""

import argparse
import functools
import inspect
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from eval.findings.arms import NEGATIVES, arms
from eval.findings.bench import WEIGHT, Bench, Values
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.statistics import Difference, bootstrap, paired
from haystack_lrl.records.jsonl import write_json

MARGIN = 0.02  # of any measure: what most would not notice, and these test sets can just tell
Verdict = Literal["holds", "does not hold", "not distinguishable"]


@dataclass(frozen=True)
class Comparison:
    """What a claim says of two arms.

    :param a: name of an arm, or `base`.
    :param b: likewise.
    :param kind: `better` says that a is above b, `no worse` that it is at most `MARGIN` below.
    :param measure: of those that every arm has.
    """

    a: str
    b: str
    kind: Literal["better", "no worse"] = "better"
    measure: str = "nDCG@10"


@dataclass(frozen=True)
class Claim:
    """A claim of a source paper and the comparisons that test it.

    :param text: in one sentence.
    :param source: who says so.
    """

    text: str
    source: str
    comparisons: Sequence[Comparison]


def verdict_of(difference: Difference, seeds: Sequence[float], kind: str) -> Verdict:
    """Return what a paired difference says, if all seeds agree with it.

    :param difference: a - b, of the means over the seeds.
    :param seeds: a - b of each seed.
    """
    line = 0.0 if kind == "better" else -MARGIN
    if difference.low > line and min(seeds) > line:
        return "holds"
    if difference.high < line and max(seeds) < line:
        return "does not hold"
    return "not distinguishable"


class Findings:
    """The arms of a bench, measured when a claim asks for them."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.arms = bench, arms(bench.base_model)

    @functools.cache  # noqa: B019 - one object, as long as the process
    def values(self, name: str) -> list[dict[str, Values]]:
        """Return an arm's values per query, for each seed."""
        return [self.bench.base()] if name == "base" else self.bench.measured(name, self.arms[name])

    def judged(self, comparison: Comparison) -> dict[str, Any]:
        """Return a comparison's figures and its verdict."""
        a, b = (
            np.stack([found[comparison.measure] for found in self.values(name)])
            for name in (comparison.a, comparison.b)
        )
        difference = paired(a.mean(axis=0), b.mean(axis=0))
        seeds = [round(float(value), 4) for value in (a - b).mean(axis=1)]
        verdict = verdict_of(difference, seeds, comparison.kind)
        return {**asdict(comparison), "difference": difference.to_json(), "seeds": seeds, "verdict": verdict}

    def described(self, name: str) -> dict[str, Any]:
        """Return every measure of an arm: mean of each seed, their spread, and the interval over queries."""
        rows = self.values(name)
        table = {}
        for measure in sorted(rows[0]):
            values = np.stack([found[measure] for found in rows])
            seeds = values.mean(axis=1)
            spread = float(seeds.std(ddof=1)) if len(seeds) > 1 else 0.0
            interval = bootstrap(values.mean(axis=0)).to_json()
            table[measure] = {**interval, "seeds": [round(float(s), 4) for s in seeds], "sd": round(spread, 4)}
        return table


def tested(claim: Claim, findings: Findings) -> dict[str, Any]:
    """Test a claim and return what its JSON file holds."""
    names = dict.fromkeys(name for comparison in claim.comparisons for name in (comparison.a, comparison.b))
    bench = findings.bench
    return {
        "claim": claim.text,
        "source": claim.source,
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
        "seeds": bench.seeds,
        "n": {"nDCG@10": len(bench.own.queries), "English nDCG@10": len(bench.english.queries)}
        | {"accuracy@1": len(bench.parallel)},
        "settings": {"merge weight": WEIGHT, "margin of no worse": MARGIN, "hard negatives": NEGATIVES},
        "comparisons": [findings.judged(comparison) for comparison in claim.comparisons],
        "arms": {name: findings.described(name) for name in names},
    }


def main(*modules: ModuleType) -> None:
    """Test the claim of each module and write a JSON file beside it."""
    parser = argparse.ArgumentParser(
        description=inspect.cleandoc(modules[0].__doc__ or ""), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("pairs", "base-model", "test-set", "retention", "parallel", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--training-seeds", type=int, nargs="+", default=[13, 14, 15])
    findings = Findings(Bench(parser.parse_args()))
    for module in modules:
        outcome = tested(module.CLAIM, findings)
        write_json(Path(str(module.__file__)).with_suffix(".json"), outcome)
        for row in outcome["comparisons"]:
            mean, low, high = (row["difference"][name] for name in ("mean", "low", "high"))
            print(
                f"{row['a']} {row['kind']} {row['b']}, {row['measure']}: {mean:+.3f} ({low:+.3f} to {high:+.3f})",
                row["verdict"],
            )
