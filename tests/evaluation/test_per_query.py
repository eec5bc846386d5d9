import numpy as np
import pytest

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.contenders import tokenizer_of
from haystack_lrl.evaluation.per_query import breakdown, changed, features, points, query_rows
from haystack_lrl.evaluation.statistics import paired
from haystack_lrl.evaluation.systems import System, score
from haystack_lrl.evaluation.testset import TestSet


def make(queries, documents, language="epo"):
    asked = {f"q{n}": text for n, text in enumerate(queries)}
    texts = {f"d{n}": text for n, text in enumerate(documents)}
    return TestSet("toy", language, asked, texts, {f"q{n}": {f"d{n}": 1} for n in range(len(queries))})


@pytest.fixture
def scored():
    """Nine queries: `new` gains on the first three, loses on the fourth, and ties elsewhere."""
    test_set = make([f"query number {n}" for n in range(9)], [f"text {n}" for n in range(12)])
    base = {f"q{n}": {f"d{n}": 0.9 if n > 2 else 0.1, "d10": 0.5, "d11": 0.4} for n in range(9)}
    new = {f"q{n}": {f"d{n}": 0.9 if n != 3 else 0.45, "d10": 0.5, "d11": 0.4} for n in range(9)}
    return score(test_set, "test", [System("base", "dense", base), System("new", "dense", new)])


def test_length_and_overlap_are_of_words():
    found = features(make(["river bridge bread", "school"], ["the bridge over a river", "garden"]), None)
    np.testing.assert_array_equal(found["length"], [3, 1])
    np.testing.assert_allclose(found["overlap"], [2 / 3, 0])
    assert "unknown" not in found


def test_without_spaces_letters_are_counted():
    assert features(make(["東京 タワー"], ["東京"], "jpn"), None)["length"] == [5]


def test_the_best_of_several_relevant_documents_counts():
    test_set = make(["river bridge"], ["river", "river bridge"])
    both = TestSet("toy", "epo", test_set.queries, test_set.documents, {"q0": {"d0": 1, "d1": 2}})
    np.testing.assert_array_equal(features(both, None)["overlap"], [1])


def test_words_that_are_not_one_piece_are_unknown(tiny):
    tokenizer = tokenizer_of(SentenceEncoder(tiny))
    found = features(make(["river bridge", "river xqzw", "ĝĥĵ ᚠᚢ", ""], ["a", "b", "c", "d"]), tokenizer)
    np.testing.assert_array_equal(found["unknown"], [0, 0.5, 1, 0])


def test_thirds_keep_equal_values_together_and_lose_none(scored):
    found = {"length": np.array([1.0, 1, 1, 1, 1, 1, 2, 3, 9]), "flat": np.zeros(9), "even": np.arange(9.0)}
    rows = breakdown(scored, "new", found)
    assert [(part["low"], part["high"], part["queries"]) for part in rows["length"]] == [(1, 1, 6), (2, 9, 3)]
    assert [part["queries"] for part in rows["flat"]] == [9]
    assert [part["queries"] for part in rows["even"]] == [3, 3, 3]
    first = rows["even"][0]
    expected = paired(scored.primary("new")[:3], scored.primary("base")[:3])
    assert first["difference"] == {"against": "base", **expected.to_json()}
    assert first["after"] - first["before"] == pytest.approx(expected.mean)


def test_both_rankings_stand_beside_each_changed_query(scored):
    found = changed(scored, "new")
    assert (found["won"], found["lost"], found["tied"]) == (3, 1, 5)
    (harmed,) = found["harmed"]
    assert (harmed["id"], harmed["base_rank"], harmed["rank"]) == ("q3", 1, 2)
    assert [row["id"] for row in harmed["rankings"]["new"]] == ["d10", "d3", "d11"]
    assert [row["grade"] for row in harmed["rankings"]["new"]] == [0, 1, 0]
    assert harmed["rankings"]["base"][0] == {"id": "d3", "score": 0.9, "grade": 1, "text": "text 3"}


def test_points_count_every_query(scored):
    places = {(before, after): count for before, after, count in points(scored, "new")}
    assert places == {(0.5, 1.0): 3, (1.0, 0.63): 1, (1.0, 1.0): 5}


def test_rows_hold_every_value(scored):
    rows = list(query_rows(scored, {"length": np.arange(9.0)}))
    assert [row["length"] for row in rows] == list(range(9))
    assert [row["metrics"]["new"]["nDCG@10"] for row in rows] == scored.primary("new").tolist()
