import random

import pytest

from haystack_lrl.curation.split import one_a_passage, split_pairs
from haystack_lrl.records.pair import Pair


def random_pairs(seed, passages=200):
    rng = random.Random(seed)
    pairs = [
        Pair(f"query {number} {row}", f"passage {number}", english_passage=f"english {seed} {number}")
        for number in range(passages)
        for row in range(rng.choice([1, 1, 1, 2, 5]))
    ]
    rng.shuffle(pairs)
    return pairs


def groups(pairs):
    return {pair.group for pair in pairs}


@pytest.mark.parametrize("seed", range(5))
def test_no_passage_is_on_two_sides_and_no_pair_is_lost(seed):
    pairs = random_pairs(seed)
    split = split_pairs(pairs, dev=40, held_out=50, seed=seed)
    parts = [split.train, split.dev, split.held_out]
    assert sorted(pair.query for part in parts for pair in part) == sorted(pair.query for pair in pairs)
    assert sum(map(len, map(groups, parts))) == len(groups(pairs))
    assert 40 <= len(split.dev) < 45  # whole passages: at most one too large
    assert 50 <= len(split.held_out) < 55


def test_translations_of_one_passage_are_one_passage():
    pairs = [Pair(f"q{row}", f"translation {row}", english_passage="the same  passage") for row in range(10)]
    split = split_pairs(pairs, dev=1, held_out=1, seed=1)
    assert (len(split.held_out), len(split.dev), len(split.train)) == (10, 0, 0)


def test_the_order_of_the_file_does_not_matter_but_the_seed_does():
    pairs = random_pairs(1)
    split = split_pairs(pairs, dev=40, held_out=50, seed=13)
    again = split_pairs(sorted(pairs, key=lambda pair: pair.query), dev=40, held_out=50, seed=13)
    other = split_pairs(pairs, dev=40, held_out=50, seed=14)
    assert groups(split.dev) == groups(again.dev)
    assert groups(split.held_out) == groups(again.held_out)
    assert groups(split.held_out) != groups(other.held_out)


@pytest.mark.parametrize("seed", range(10))
def test_added_seeds_never_move_a_training_pair_to_the_pairs_that_choose_or_report(seed):
    before, added = random_pairs(seed), random_pairs(seed + 100, passages=50)
    old = split_pairs(before, dev=40, held_out=50, seed=13)
    new = split_pairs([*before, *added], dev=40, held_out=50, seed=13)
    assert groups(old.train) <= groups(new.train)
    assert not groups(old.dev) & groups(new.held_out)
    assert len(groups(old.held_out) & groups(new.held_out)) > len(groups(old.held_out)) / 2


def test_a_part_of_no_pairs_stays_empty():
    split = split_pairs(random_pairs(3), dev=10, held_out=0, seed=1)
    assert split.held_out == []
    assert len(split.dev) >= 10


def test_a_test_set_has_one_right_answer_a_query():
    first = Pair("q1", "p1")
    pairs = [first, Pair("q2", "p1"), Pair("q1", "p2"), Pair("q3", "p3")]
    assert one_a_passage(pairs) == [first, Pair("q3", "p3")]
