"""Are the statistics right? Systems that are equal by construction, judged as a comparison judges them.

Usage:
    OMP_NUM_THREADS=1 python eval/statistics_calibration.py --output eval/results/statistics_calibration.json

Each trial draws the queries of a test set, and for each of them the values of two systems that are equally good: the
two depend on the query's difficulty, so that they are correlated as real ones are, and come from one distribution
otherwise, shaped as nDCG@10 is with one relevant passage. The paired test should reject in 5% of trials, the interval
of a system's mean cover the true mean in 95%, and that of the difference cover 0 in 95%. Among three equal systems, the
test of any pair may reject in at most 5% of trials after Holm's correction. Power: where the true gain is the smallest
that the test set is said to detect, 80% of trials should find it.
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.pairwise import contrasts
from haystack_lrl.evaluation.statistics import bootstrap, paired, smallest_gain
from haystack_lrl.records.jsonl import write_json

Values = npt.NDArray[np.float64]

_RANKS = 1 / np.log2(np.arange(2, 12))  # nDCG@10 of one relevant passage at rank 1 to 10


def values(rng: np.random.Generator, systems: int, queries: int) -> Values:
    """Draw values of equal systems, shape (systems, queries): a query is found with its own probability."""
    chance = rng.beta(1.2, 0.8, queries)
    ranks = np.minimum(rng.geometric(chance, (systems, queries)), 11)
    return np.append(_RANKS, 0.0)[ranks - 1]


def truth() -> float:
    """Return the mean over all queries that could be drawn: that of four million."""
    return float(values(np.random.default_rng(99), 1, 4_000_000).mean())


def trials(queries: int, count: int, resamples: int, true_mean: float) -> dict[str, Any]:
    """Return how often the test rejects and the intervals cover, over trials of one size."""
    rng = np.random.default_rng(queries)
    rejected = covered = zero = family = found = 0
    for seed in range(count):
        drawn = values(rng, 3, queries)
        difference = paired(drawn[0], drawn[1], resamples, seed)
        interval = bootstrap(drawn[0], resamples, seed)
        rejected += difference.p <= 0.05
        zero += difference.low <= 0 <= difference.high
        covered += interval.low <= true_mean <= interval.high
        family += any(row.apart for row in contrasts(dict(zip("abc", drawn, strict=True)), resamples))
        gain = smallest_gain(drawn[0], drawn[1])
        fresh = values(rng, 2, queries)
        found += paired(fresh[0] + gain, fresh[1], resamples, seed).p <= 0.05
    return {
        "queries": queries,
        "test_rejects": rejected / count,
        "interval_of_mean_covers": covered / count,
        "interval_of_difference_covers_zero": zero / count,
        "any_of_three_pairs_rejected_after_holm": family / count,
        "smallest_gain_found": found / count,
    }


def main() -> None:
    """Run the trials and write their result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--queries", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    true_mean = truth()
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("numpy", "scipy")},
        "trials": options.trials,
        "resamples": options.resamples,
        "true_mean": true_mean,
        "sizes": [trials(size, options.trials, options.resamples, true_mean) for size in options.queries],
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(outcome["sizes"], indent=2))


if __name__ == "__main__":
    main()
