import itertools
import random

import numpy as np
import pytest

from haystack_lrl.evaluation.pairwise import Contrast, contrasts, holm, letters
from haystack_lrl.evaluation.statistics import Difference, paired, smallest_gain


def test_holm_is_that_of_r():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # p.adjust(p, "holm")
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_corrected_p_is_in_the_order_of_p_and_never_smaller():
    p = np.random.default_rng(3).random(20) ** 3
    corrected = holm(p.tolist())
    assert all(after >= before for before, after in zip(p, corrected, strict=True))
    assert (np.diff(np.array(corrected)[np.argsort(p)]) >= 0).all()


def pairs(names, apart):
    """Return the contrasts of all pairs; `apart` says which can be told apart."""
    nothing = Difference(0.0, 0.0, 0.0, 1.0)
    return [
        Contrast(one, other, nothing, 0.01 if {one, other} in apart else 0.5, 0.0)
        for one, other in itertools.combinations(names, 2)
    ]


def test_letters_of_the_textbook():
    found = letters("ABCD", pairs("ABCD", [{"A", "C"}, {"A", "D"}, {"B", "D"}]))
    assert found == {"A": "a", "B": "ab", "C": "bc", "D": "c"}
    assert letters("AB", pairs("AB", [])) == {"A": "a", "B": "a"}
    assert letters("AB", pairs("AB", [{"A", "B"}])) == {"A": "a", "B": "b"}
    assert letters("A", []) == {"A": "a"}


@pytest.mark.parametrize("seed", range(30))
def test_systems_share_a_letter_exactly_if_they_cannot_be_told_apart(seed):
    rng = random.Random(seed)
    names = "ABCDEFG"[: rng.randint(2, 7)]
    apart = [set(pair) for pair in itertools.combinations(names, 2) if rng.random() < rng.random()]
    found = letters(names, pairs(names, apart))
    for one, other in itertools.combinations(names, 2):
        assert bool(set(found[one]) & set(found[other])) == ({one, other} not in apart)
    assert "a" in found["A"]


def test_every_pair_is_compared_the_better_one_first():
    rng = np.random.default_rng(1)
    values = {"poor": rng.random(60) * 0.4, "good": 0.6 + rng.random(60) * 0.4, "fair": rng.random(60)}
    rows = contrasts(values, resamples=1000)
    assert [(row.first, row.second) for row in rows] == [("good", "fair"), ("good", "poor"), ("fair", "poor")]
    for row in rows:
        a, b = values[row.first], values[row.second]
        assert row.difference == paired(a, b, resamples=1000)
        assert row.smallest_gain == smallest_gain(a, b)
        assert row.apart
    assert [row.holm for row in rows] == holm([row.difference.p for row in rows])


def test_equal_systems_and_one_query_are_not_apart():
    one = contrasts({"a": np.array([0.2]), "b": np.array([0.9])})[0]
    assert not one.apart
    assert one.to_json() | {"smallest_gain": None, "low": None} == one.to_json()
    same = np.random.default_rng(1).random(50)
    assert not contrasts({"a": same, "b": same})[0].apart
