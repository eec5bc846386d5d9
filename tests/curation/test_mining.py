import numpy as np
import pytest
from toy import toy_seeds, translated

from haystack_lrl.curation.mining import MiningSettings, mine
from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.records.pair import Pair

SETTINGS = MiningSettings(negatives=3, margin=0.95)


def toy_pairs(count):
    return [
        Pair(row["query"], row["passage"], row["id"], "", row["english_query"], row["english_passage"])
        for row in translated(toy_seeds(count))
    ]


@pytest.fixture
def encoder(tiny):
    return SentenceEncoder(tiny, precision="fp32")


class Chart:
    """Place texts on the plane by their angle in degrees."""

    def __init__(self, **angles):
        self.angles = angles

    def encode(self, texts, role):
        radians = np.radians([self.angles[text] for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_negatives_score_below_the_margin_and_are_the_nearest_of_those(encoder):
    pairs = toy_pairs(40)
    queries = encoder.encode([pair.english_query for pair in pairs], "query")
    passages = encoder.encode([pair.english_passage for pair in pairs], "passage")
    scores = queries @ passages.T
    unrelated = scores.mean()  # over all pairs of texts, of which the mean vectors are a shorter way
    place = {pair.passage: number for number, pair in enumerate(pairs)}
    some = 0
    for row, triplet in enumerate(mine(pairs, encoder, SETTINGS)):
        limit = unrelated + 0.95 * (scores[row, row] - unrelated)
        allowed = [p for p in np.argsort(-scores[row]) if p != row and scores[row, p] < limit]
        assert [place[text] for text in triplet.negatives] == allowed[:3]
        some += len(triplet.negatives)
    assert some > 40


def test_every_pair_comes_out_in_order(encoder):
    pairs = toy_pairs(12)
    assert [triplet.pair for triplet in mine(pairs, encoder, SETTINGS)] == pairs


def test_a_positives_own_group_is_never_a_negative(encoder):
    pairs = [
        Pair(f"{pair.query} {copy}", f"{pair.passage} {copy}", "", "", pair.english_query, pair.english_passage)
        for pair in toy_pairs(10)
        for copy in range(3)
    ]
    groups = {pair.passage: pair.group for pair in pairs}
    triplets = list(mine(pairs, encoder, MiningSettings(negatives=9, margin=1.0)))
    assert sum(len(triplet.negatives) for triplet in triplets) > 30
    for triplet in triplets:
        negatives = [groups[text] for text in triplet.negatives]
        assert triplet.pair.group not in negatives
        assert len(negatives) == len(set(negatives))  # nor does a passage come twice


def test_another_answer_to_the_same_query_is_no_negative():
    chart = Chart(question=0, answer=10, second=30, far=60, elsewhere=90)
    pairs = [Pair("question", "answer"), Pair("question", "second"), Pair("elsewhere", "far")]
    first, second, _ = mine(pairs, chart, SETTINGS)
    assert first.negatives == ("far",)
    assert second.negatives == ("far",)


def test_the_english_side_chooses_and_the_language_is_written():
    chart = Chart(q=0, good=5, near=40, far=80, x=100, y=120)
    pairs = [
        Pair("demando", "bona", english_query="q", english_passage="good"),
        Pair("alia", "proksima", english_query="x", english_passage="near"),
        Pair("tria", "fora", english_query="y", english_passage="far"),
    ]
    first, *_ = mine(pairs, chart, MiningSettings(negatives=1))
    assert first.negatives == ("proksima",)


def test_a_pair_without_english_side_is_mined_as_it_is():
    chart = Chart(q=0, good=5, near=40, x=100)
    first, _ = mine([Pair("q", "good"), Pair("x", "near")], chart, MiningSettings(negatives=1))
    assert first.negatives == ("near",)


def test_passages_within_the_margin_are_left_out():
    chart = Chart(q=0, good=20, close=21, near=50, x=120, y=140)
    pairs = [Pair("q", "good"), Pair("x", "close"), Pair("y", "near")]
    first, *_ = mine(pairs, chart, MiningSettings(negatives=2))
    assert first.negatives == ("near",)


@pytest.mark.parametrize("settings", [{"negatives": -1}, {"margin": 0.0}, {"margin": 1.5}, {"depth": 0}])
def test_settings_out_of_range_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=rf"mining\.{name} is"):
        MiningSettings(**settings)
