import numpy as np
import pytest

from haystack_lrl.encoding import nearest, search
from haystack_lrl.encoding.search import top_k


def whole_numbers(seed, *shape, most=3):
    """Draw vectors whose products are exact and often equal."""
    return np.random.default_rng(seed).integers(-most, most + 1, shape).astype(np.float32)


def brute_force(scores, k):
    order = [sorted(range(len(row)), key=lambda place, row=row: (-row[place], place))[:k] for row in scores]
    return np.take_along_axis(scores, np.array(order), axis=1), np.array(order)


def assert_found(result, expected):
    np.testing.assert_array_equal(result[0], expected[0])
    np.testing.assert_array_equal(result[1], expected[1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 7, 99, 100, 1000])
def test_the_best_are_those_of_a_sort_ties_by_position(seed, k):
    queries, passages = whole_numbers(seed, 9, 4, most=1), whole_numbers(seed + 50, 100, 4, most=1)
    scores = queries @ passages.T
    assert len(np.unique(scores[0])) < 20  # ties everywhere, at the last place too
    assert_found(top_k(queries, passages, k), brute_force(scores, min(k, 100)))


def test_real_vectors_are_sorted_as_well():
    rng = np.random.default_rng(1)
    queries, passages = rng.normal(size=(20, 8)).astype("f4"), rng.normal(size=(500, 8)).astype("f4")
    assert_found(top_k(queries, passages, 10), brute_force(queries @ passages.T, 10))


@pytest.mark.parametrize("k", [1, 5, 30])
def test_a_document_scores_as_its_best_passage(k):
    queries, passages = whole_numbers(1, 6, 5), whole_numbers(2, 80, 5)
    starts = np.sort(np.random.default_rng(3).choice(np.arange(1, 80), 29, replace=False))
    starts = np.concatenate([[0], starts])
    bounds = [*starts, 80]
    scores = queries @ passages.T
    best = np.stack([scores[:, bounds[i] : bounds[i + 1]].max(axis=1) for i in range(30)], axis=1)
    assert_found(top_k(queries, passages, k, starts), brute_force(best, k))


@pytest.mark.parametrize("floats", [1, 50 * 3, 7 * 11])
@pytest.mark.parametrize("some", [1, 7, 1024])
@pytest.mark.parametrize("split", [False, True])
def test_blocks_and_chunks_change_nothing(monkeypatch, floats, some, split):
    queries, passages = whole_numbers(1, 50, 4), whole_numbers(2, 70, 4)
    starts = np.array([0, 1, 5, 6, 30, 31, 32, 69]) if split else None
    whole = top_k(queries, passages, 10, starts)
    monkeypatch.setattr(nearest, "BLOCK_FLOATS", floats)
    monkeypatch.setattr(search, "_QUERIES", some)
    assert_found(top_k(queries, passages, 10, starts), whole)


@pytest.mark.parametrize(("queries", "passages"), [(0, 5), (3, 0), (0, 0)])
def test_nothing_to_search_finds_nothing(queries, passages):
    scores, found = top_k(whole_numbers(1, queries, 4), whole_numbers(2, passages, 4), 3)
    assert scores.shape == found.shape == (queries, min(3, passages))
