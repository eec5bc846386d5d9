import math
import random

import ir_measures
import numpy as np
import pytest

from haystack_lrl.evaluation.metrics import METRICS, PRIMARY, best_rank, measure, metric_names, ndcg
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError

DOCUMENTS = {f"d{n}": "" for n in range(150)}


def random_case(seed):
    """Return a test set of graded qrels and a run that lacks some queries."""
    rng = random.Random(seed)
    queries = [f"q{n}" for n in range(30)]
    rng.shuffle(queries)
    qrels = {q: {d: rng.randint(1, 3) for d in rng.sample(list(DOCUMENTS), rng.randint(1, 5))} for q in queries}
    run = {
        q: {d: rng.random() for d in rng.sample(list(DOCUMENTS), rng.randint(1, 150))} for q in rng.sample(queries, 25)
    }
    run[queries[0]] = {}
    return TestSet("random", "epo", dict.fromkeys(queries, "text"), DOCUMENTS, qrels), run


def by_hand(metric, judged, ranking):
    """Return the metric of one query from its definition."""
    ranked = sorted(ranking, key=lambda document: -ranking[document])
    if metric == "RR@10":
        return next((1 / rank for rank, d in enumerate(ranked[:10], 1) if d in judged), 0.0)
    if metric == "R@100":
        return sum(document in judged for document in ranked[:100]) / len(judged)
    gains = [judged.get(document, 0) for document in ranked[:10]]
    ideal = sorted(judged.values(), reverse=True)[:10]
    discounted = [sum(g / math.log2(rank + 1) for rank, g in enumerate(some, 1)) for some in (gains, ideal)]
    return discounted[0] / discounted[1]


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_the_definition_and_of_ir_measures(seed):
    test_set, run = random_case(seed)
    values = measure(test_set, run)
    assert tuple(values) == METRICS
    for name in METRICS:
        expected = [by_hand(name, test_set.qrels[query], run.get(query, {})) for query in test_set.queries]
        np.testing.assert_allclose(values[name], expected, atol=1e-6)
        measured = ir_measures.parse_measure(name)
        mean = ir_measures.calc_aggregate([measured], test_set.qrels, run)[measured]
        assert values[name].mean() == pytest.approx(mean)
        theirs = {m.query_id: m.value for m in ir_measures.iter_calc([measured], test_set.qrels, run)}
        for query, value in zip(test_set.queries, values[name], strict=True):
            assert value == theirs.get(query, 0.0)


def test_a_query_without_a_ranking_counts_as_zero():
    test_set, _ = random_case(1)
    first = next(iter(test_set.queries))
    perfect = {first: {document: float(grade) for document, grade in test_set.qrels[first].items()}}
    values = measure(test_set, perfect)
    assert values[PRIMARY][0] == 1
    assert values[PRIMARY].sum() == 1
    assert ndcg(test_set, perfect) == pytest.approx(1 / 30)


@pytest.mark.parametrize("run", [{}, {"q1": {}}])
def test_an_empty_run_scores_zero(run):
    test_set, _ = random_case(1)
    assert all((values == 0).all() and len(values) == 30 for values in measure(test_set, run).values())


def test_ties_are_broken_by_document_id_and_not_by_the_order_of_the_run():
    test_set = TestSet("ties", "epo", {"q": "text"}, DOCUMENTS, {"q": {"d1": 1}})
    one = measure(test_set, {"q": {"d1": 0.5, "d2": 0.5}})
    other = measure(test_set, {"q": {"d2": 0.5, "d1": 0.5}})
    assert one["RR@10"] == other["RR@10"]


def test_the_best_rank_is_that_of_the_first_relevant_document():
    test_set = TestSet("ranks", "epo", {"q": "text"}, DOCUMENTS, {"q": {"d1": 1, "d2": 1}})
    assert best_rank(test_set, {"q": {"d3": 0.1, "d2": 0.5, "d1": 0.4, "d4": 0.9}}, "q") == 2
    assert best_rank(test_set, {"q": {"d3": 0.1}}, "q") is None
    assert best_rank(test_set, {}, "q") is None


@pytest.mark.parametrize("name", ["nDCG@5", "R@1", "RR@100", "AP", "AP@20", "P@5", "Success@3", "nDCG"])
def test_any_metric_of_ir_measures_has_its_own_values(name):
    test_set, run = random_case(7)
    values = measure(test_set, run, (name,))
    theirs = {
        m.query_id: m.value for m in ir_measures.iter_calc([ir_measures.parse_measure(name)], test_set.qrels, run)
    }
    assert values[name].tolist() == [theirs.get(query, 0.0) for query in test_set.queries]


def test_metrics_are_written_as_ir_measures_writes_them():
    assert metric_names(["nDCG@10", "MRR@10", "RR@10", "AP"]) == ("nDCG@10", "RR@10", "AP")


@pytest.mark.parametrize("name", ["", "ndgc@10", "nDCG@", "R@x", "AP(bad=1)", "nDCG@10 AP"])
def test_what_is_no_metric_is_refused(name):
    with pytest.raises(InputError, match="is not a metric of ir-measures"):
        metric_names([name])
