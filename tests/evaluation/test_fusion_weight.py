import numpy as np
import pytest

from haystack_lrl.evaluation.fusion_weight import WEIGHTS, tune_weight
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import hybrid_run
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError


def dev(queries=60):
    names = [f"q{n}" for n in range(queries)]
    documents = {f"d{n}": "text" for n in range(queries)}
    return TestSet(
        "dev", "epo", dict.fromkeys(names, "text"), documents, {f"q{n}": {f"d{n}": 1} for n in range(queries)}
    )


def ranking(test_set, skill, seed):
    """Scores of noise, to which the right document's is added."""
    rng = np.random.default_rng(seed)
    run = {}
    for number, query in enumerate(test_set.queries):
        scores = rng.normal(size=len(test_set.documents))
        scores[number] += skill
        run[query] = dict(zip(test_set.documents, scores.tolist(), strict=True))
    return run


def test_the_better_side_gets_the_weight():
    test_set = dev()
    good, bad = ranking(test_set, 3, seed=1), ranking(test_set, 0, seed=2)
    dense = tune_weight(test_set, bad, good)
    assert dense.weight > 0.7
    assert dense.low <= dense.weight <= dense.high
    assert dense.against_equal.low > 0
    assert dense.against_lexical.low > 0
    lexical = tune_weight(test_set, good, bad)
    assert lexical.weight < 0.3
    assert not lexical.against_lexical.mean > 0.05


def test_the_curve_is_that_of_the_hybrid():
    test_set = dev()
    lexical, dense = ranking(test_set, 2, seed=1), ranking(test_set, 2, seed=2)
    tuned = tune_weight(test_set, lexical, dense)
    assert tuple(tuned.curve) == WEIGHTS
    for weight in (0.0, 0.5, 1.0):
        reference = measure(test_set, hybrid_run(lexical, dense, weight))[PRIMARY].mean()
        assert tuned.curve[weight].mean == pytest.approx(reference)
    assert tuned.curve[tuned.weight].mean == max(point.mean for point in tuned.curve.values())
    assert tuned.to_json()["curve"]["0.5"]["mean"] == tuned.curve[0.5].mean


def test_where_every_weight_is_as_good_shares_are_equal():
    test_set = dev()
    run = ranking(test_set, 3, seed=1)
    tuned = tune_weight(test_set, run, run)
    assert tuned.weight == 0.5
    assert (tuned.against_equal.mean, tuned.against_equal.p) == (0, 1)


def test_differences_come_from_queries_that_did_not_choose():
    test_set = dev(30)
    lexical, dense = ranking(test_set, 0, seed=1), ranking(test_set, 0, seed=2)  # nothing but noise to choose by
    tuned = tune_weight(test_set, lexical, dense)
    assert tuned.against_equal.mean < tuned.curve[tuned.weight].mean - tuned.curve[0.5].mean


def test_a_handful_of_queries_is_refused():
    test_set = dev(9)
    run = ranking(test_set, 1, seed=1)
    with pytest.raises(InputError, match="9 queries, too few"):
        tune_weight(test_set, run, run)
