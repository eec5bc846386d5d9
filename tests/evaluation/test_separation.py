import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from haystack_lrl.evaluation.runs import Encoded
from haystack_lrl.evaluation.separation import Separation, separation
from haystack_lrl.evaluation.testset import TestSet


def test_cosines_are_of_the_best_passage_and_negatives_are_not_relevant():
    ids = [f"d{n}" for n in range(4)]
    test_set = TestSet("toy", "epo", {"q": "text"}, dict.fromkeys(ids, "text"), {"q": {"d1": 1, "d3": 2}})
    passages = np.array([[0.1], [0.2], [0.9], [0.3], [0.4]], dtype=np.float32)  # d1 has the second and the third
    found = separation(test_set, Encoded(np.ones((1, 1), np.float32), passages, np.array([0, 1, 3, 4]), 0.0))
    np.testing.assert_allclose(found.positives, [0.9, 0.4])
    np.testing.assert_allclose(found.negatives, [0.1, 0.3])


def test_the_chance_is_the_area_under_the_curve():
    rng = np.random.default_rng(1)
    found = Separation(rng.normal(0.6, 0.2, 50), rng.normal(0.3, 0.2, 300))
    labels = [1] * 50 + [0] * 300
    assert found.chance == pytest.approx(roc_auc_score(labels, np.concatenate([found.positives, found.negatives])))
    tree = found.to_json()
    assert len(tree["edges"]) == len(tree["positives"]) + 1
    assert sum(tree["positives"]) == pytest.approx(1) == pytest.approx(sum(tree["negatives"]))


def test_equal_cosines_and_no_negatives_make_no_trouble():
    assert Separation(np.ones(3), np.ones(2)).to_json()["chance"] == 0.5
    assert Separation(np.ones(3), np.array([])).to_json()["chance"] is None
