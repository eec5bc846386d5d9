"""What words outside the lexicon mean, on words made of stems and endings with known vectors."""

import itertools

import numpy as np
import pytest

from haystack_lrl.adaptation.vocabulary.morphology import Morphology, known_words, shared_stems, shrunk

STEMS = [
    "hund",
    "kat",
    "labor",
    "lern",
    "skrib",
    "kant",
    "manĝ",
    "vojaĝ",
    "river",
    "arb",
    "dom",
    "urb",
    "parol",
    "pens",
]
ENDINGS = ["o", "oj", "on", "ojn", "as", "is", "os", "us", "ado", "ema", "ejo", "isto", "ilo", "inda"]


@pytest.fixture(scope="module")
def language():
    rng = np.random.default_rng(0)
    meaning = {part: rng.standard_normal(16).astype(np.float32) for part in (*STEMS, *ENDINGS)}
    return {s + e: meaning[s] + 0.3 * meaning[e] for s, e in itertools.product(STEMS, ENDINGS)}, meaning


@pytest.fixture(scope="module")
def morphology(language):
    known = dict(itertools.islice(((w, v) for n, (w, v) in enumerate(language[0].items()) if n % 7), 200))
    return Morphology(list(known), np.stack(list(known.values())), [3] * len(known)), known


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_words_are_known_by_their_parts(language, morphology):
    model, known = morphology
    unknown = [word for word in language[0] if word not in known]
    vectors = model.words(unknown)
    assert vectors.shape == (len(unknown), 16)
    assert vectors.dtype == np.float32
    assert np.mean([cosine(v, language[0][w]) for v, w in zip(vectors, unknown, strict=True)]) > 0.8


def test_stems_mean_what_their_words_share(language, morphology):
    for stem, vector in zip(STEMS, morphology[0].stems(STEMS), strict=True):
        assert max(STEMS, key=lambda other: cosine(vector, language[1][other])) == stem


def test_no_words_have_no_vectors(morphology):
    assert morphology[0].words([]).shape == (0, 16)


def test_few_words_teach_nothing():
    assert not Morphology.can_learn(["kato"] * 10)


def test_stems_are_the_longest_that_the_same_words_share():
    assert shared_stems(["kanto", "kantas", "kantisto", "hundo"]) == ["kant"]
    assert shared_stems(["kanto", "kantas"]) == []


def test_rarely_seen_words_trust_morphology_more():
    vectors, predicted = np.ones((2, 1), dtype=np.float32), np.zeros((2, 1), dtype=np.float32)
    assert shrunk(vectors, predicted, [1, 9]).ravel().tolist() == pytest.approx([0.5, 0.9])


def test_words_that_came_once_may_be_errors():
    assert known_words({"kato": 2, "kafo": 1}, 2) == {"kato": 2}
