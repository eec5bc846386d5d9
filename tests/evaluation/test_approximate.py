import numpy as np
import pytest

from haystack_lrl.evaluation.approximate import approximate_recall

EXACT = {"q1": {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.1}, "q2": {"a": 0.5, "b": 0.4}}


def test_what_exact_search_found_is_all_there_is():
    np.testing.assert_array_equal(approximate_recall(EXACT, EXACT, 3), [1, 1])


def test_missed_documents_and_queries_count():
    found = {"q1": {"a": 0.9, "d": 0.1, "c": 0.7}}
    np.testing.assert_array_equal(approximate_recall(EXACT, found, 2), [0.5, 0])
    np.testing.assert_allclose(approximate_recall(EXACT, found, 3), [2 / 3, 0])


def test_documents_that_score_as_the_last_place_are_as_good():
    exact = {"q": {"a": 0.9, "b": 0.8, "c": 0.8}}
    np.testing.assert_array_equal(approximate_recall(exact, {"q": {"a": 0.9, "c": 0.8}}, 2), [1])


def test_only_the_first_k_of_the_index_count():
    np.testing.assert_array_equal(approximate_recall(EXACT, {"q1": {"d": 9.0, "a": 0.9}, "q2": {}}, 1), [0, 0])


@pytest.mark.parametrize(("exact", "k"), [(EXACT, 0), ({"q": {}}, 1)])
def test_without_an_exact_ranking_there_is_no_recall(exact, k):
    with pytest.raises(ValueError, match="recall of the"):
        approximate_recall(exact, {}, k)
