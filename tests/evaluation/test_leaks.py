import random

import pytest

from haystack_lrl.evaluation.leaks import check_leaks
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair


def texts(count, seed):
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(3000)]
    return [" ".join(rng.choices(words, k=60)) for _ in range(count)]


def judging(name, seed, queries=200):
    documents = {f"d{n}": text for n, text in enumerate(texts(queries + 20, seed))}
    ids = [f"q{n}" for n in range(queries)]
    return TestSet(
        name, "epo", {i: f"query {seed} {i}" for i in ids}, documents, {i: {"d" + i[1:]: 1} for i in ids}
    )  # fmt: skip


def training(seed=9):
    return [Pair(f"other {n}", text, id=str(n)) for n, text in enumerate(texts(50, seed))]


def test_sets_are_looked_at_in_one_reading_of_the_training_data():
    first, second = judging("first", 1), judging("second", 2)
    leaked = [Pair("q", f"{second.documents['d3']} indeed", id="n"), Pair(first.queries["q5"].upper(), "p", id="e")]
    found = check_leaks([first, second], iter([*training(), *leaked]))
    assert found == {
        "first": {"queries": 1, "example": "its query q5 is the query of the training row e"},
        "second": {"queries": 1, "example": "its passage d3 is nearly the passage of the training row n"},
    }
    assert check_leaks([first, second], training()) == {}


def test_more_than_one_query_in_a_hundred_is_refused_unless_allowed():
    judge = judging("judge", 1)
    leaked = [Pair("q", judge.documents[f"d{n}"], id=str(n)) for n in range(3)]
    with pytest.raises(InputError, match=r"judge has 3 of its 200 queries in the training data \(its passage d0"):
        check_leaks([judge], leaked)
    assert check_leaks([judge], leaked, allow=True)["judge"]["queries"] == 3
    assert check_leaks([judge], leaked[:2])["judge"]["queries"] == 2


def test_distractors_may_be_known_and_a_document_leaks_every_query_that_it_answers():
    judge = judging("judge", 1)
    assert check_leaks([judge], [Pair("q", judge.documents["d210"])]) == {}
    shared = TestSet("shared", "epo", judge.queries, judge.documents, {query: {"d7": 1} for query in judge.queries})
    assert check_leaks([shared], [Pair("q", judge.documents["d7"])], allow=True)["shared"]["queries"] == 200
