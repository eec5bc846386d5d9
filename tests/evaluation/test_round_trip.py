import numpy as np

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.round_trip import RoundTrip
from haystack_lrl.evaluation.runs import bm25_run, dense_run
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.languages.table import language

WORDS = [f"{a}{b}{c}ojn" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]


def toy_corpus(passages=80, questions=40):
    rng = np.random.default_rng(0)
    texts = {f"d{n}": " ".join(rng.choice(WORDS, 200 if n % 9 == 0 else 25)) for n in range(passages)}
    asked = [f"d{n}" for n in rng.choice(passages, questions, replace=False)]
    return texts, asked, [" ".join(rng.choice(texts[name].split(), 2)) for name in asked]


def test_found_is_what_the_evaluation_ranks_among_the_best(tiny_model):
    texts, asked, questions = toy_corpus()
    scorer = SentenceEncoder.from_path(tiny_model, device="cpu", precision="fp32")
    found = RoundTrip(texts, language("epo"), scorer, depth=3).found_by(questions, asked)
    queries = {str(n): text for n, text in enumerate(questions)}
    test_set = TestSet("x", "epo", queries, texts, {name: {"d0": 1} for name in queries})
    runs = {"BM25": bm25_run(test_set), "scorer": dense_run(test_set, scorer).run}
    for row, name in enumerate(asked):
        for finder, run in runs.items():
            ranking = sorted(run[str(row)], key=run[str(row)].get, reverse=True)
            assert (finder in found[row]) == (name in ranking[:3])
    assert set(found) >= {(), ("BM25",)}
    assert any("scorer" in finders for finders in found)


def test_bm25_alone_needs_a_common_word():
    texts, asked, questions = toy_corpus()
    trip = RoundTrip(texts, language("epo"), depth=100)
    assert trip.found_by(questions[:2], asked[:2]) == [("BM25",), ("BM25",)]
    assert trip.found_by(["neniu komuna"], asked[:1]) == [()]  # though the depth holds the whole corpus
    assert trip.found_by([], []) == []
