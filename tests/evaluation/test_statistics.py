import json
import math
import time

import numpy as np
import pytest
from scipy import stats

from haystack_lrl.evaluation.statistics import Difference, Interval, bootstrap, or_none, paired, smallest_gain

SIMULATIONS = 1_000


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def scores(rng, *shape):
    """Draw values as nDCG@10 has them with one relevant passage: many zeros, many ones, few between (mean 0.5)."""
    return rng.choice([0.0, 0.0, 0.387, 0.613, 1.0, 1.0], size=shape)


@pytest.mark.parametrize("queries", [30, 200])
def test_an_interval_covers_the_true_mean_in_95_of_100_test_sets(rng, queries):
    intervals = [bootstrap(scores(rng, queries), resamples=1000, seed=i) for i in range(SIMULATIONS)]
    covered = np.mean([interval.low <= 0.5 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_equal_systems_differ_in_5_of_100_test_sets(rng):
    pairs = [scores(rng, 2, 200) for _ in range(SIMULATIONS)]
    differences = [paired(a, b, resamples=600, seed=i) for i, (a, b) in enumerate(pairs)]
    assert np.mean([difference.p <= 0.05 for difference in differences]) == pytest.approx(0.05, abs=0.015)
    assert np.mean([difference.distinguishable for difference in differences]) == pytest.approx(0.05, abs=0.015)


def test_the_smallest_gain_is_found_in_80_of_100_test_sets(rng):
    noise = rng.normal(size=(SIMULATIONS, 200))
    gain = np.mean([smallest_gain(row, np.zeros(200)) for row in noise])
    assert gain == pytest.approx(2.8 / math.sqrt(200), rel=0.01)
    found = [paired(row + gain, np.zeros(200), resamples=400).distinguishable for row in noise]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_the_interval_is_that_of_scipy(rng):
    values = scores(rng, 300)
    expected = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=rng)
    ours = bootstrap(values)
    assert ours.mean == values.mean()
    assert ours.low == pytest.approx(expected.confidence_interval.low, abs=0.002)
    assert ours.high == pytest.approx(expected.confidence_interval.high, abs=0.002)


@pytest.mark.parametrize("gain", [0.0, 0.03, 0.06, 0.5])
def test_p_is_that_of_scipy(rng, gain):
    a, b = scores(rng, 2, 150)
    b = np.where(rng.random(150) < 0.5, a, b) - gain
    expected = stats.permutation_test(
        (a - b,), np.mean, permutation_type="samples", n_resamples=40_000, batch=10_000, vectorized=True, rng=rng
    )
    assert paired(a, b).p == pytest.approx(expected.pvalue, abs=0.02)


def test_p_of_a_few_queries_is_that_of_every_assignment():
    a = np.array([0.3, 0.5, 0.2, 0.6, 0.1])
    exact = stats.permutation_test((a,), np.mean, permutation_type="samples", vectorized=True).pvalue
    assert exact == 2 / 32
    assert paired(a, np.zeros(5)).p == pytest.approx(exact, abs=0.008)


def test_p_is_never_zero(rng):
    assert paired(np.ones(100), rng.random(100), resamples=999).p == 1 / 1000


def test_the_difference_changes_sign_with_the_order(rng):
    a, b = scores(rng, 2, 80)
    forth, back = paired(a, b), paired(b, a)
    assert (forth.mean, forth.p) == (-back.mean, back.p)
    assert forth.low == pytest.approx(-back.high, abs=0.01)
    assert forth.reversed().to_json() == pytest.approx(back.to_json(), abs=1e-12)
    assert str(paired(a, a).reversed().mean) == "0.0"


def test_equal_values_are_not_distinguishable(rng):
    a = scores(rng, 50)
    assert paired(a, a) == Difference(0.0, 0.0, 0.0, 1.0)
    assert not paired(a, a).distinguishable


def test_the_same_seed_gives_the_same_figures(rng):
    a, b = scores(rng, 2, 500)
    assert paired(a, b) == paired(a, b)
    assert bootstrap(a) == bootstrap(a.tolist())
    assert bootstrap(a, seed=1) != bootstrap(a, seed=2)


def test_one_query_has_no_interval_and_valid_json():
    interval, difference = bootstrap(np.array([0.5])), paired(np.array([0.5]), np.array([0.1]))
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not difference.distinguishable
    assert difference.p == 1.0
    assert json.loads(json.dumps(interval.to_json(), allow_nan=False)) == {"mean": 0.5, "low": None, "high": None}
    assert difference.to_json() == {"mean": 0.4, "low": None, "high": None, "p": 1.0}
    assert or_none(smallest_gain(np.array([0.5]), np.array([0.1]))) is None


def test_an_interval_becomes_plain_numbers():
    assert Interval(0.5, 0.25, 0.75).to_json() == {"mean": 0.5, "low": 0.25, "high": 0.75}
    assert type(Interval(np.float64(0.5), 0.25, 0.75).to_json()["mean"]) is float


@pytest.mark.parametrize("values", [[], [[0.5, 0.5]], [0.5, math.nan]])
def test_values_that_are_not_one_per_query_are_refused(values):
    with pytest.raises(ValueError, match="one finite value per query"):
        bootstrap(np.array(values))


def test_systems_on_other_queries_are_refused():
    with pytest.raises(ValueError, match="2 and 3 values are not pairs"):
        paired(np.zeros(2), np.zeros(3))


def test_ten_thousand_resamples_of_ten_thousand_queries_take_under_two_seconds(rng):
    values = rng.random(10_000)
    start = time.process_time()
    bootstrap(values)
    assert time.process_time() - start < 2
