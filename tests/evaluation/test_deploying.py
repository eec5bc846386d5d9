import numpy as np
import pytest

from haystack_lrl.evaluation.deploying import Judged, verdict
from haystack_lrl.evaluation.pairwise import contrasts
from haystack_lrl.evaluation.systems import Scored, System
from haystack_lrl.evaluation.testset import TestSet

KINDS = {"BM25": "lexical", "hybrid": "hybrid", "other": "run"}


def judged(reference="base", exports=(), **means):
    """Judge systems whose values lie around a mean, 200 queries each."""
    noise = np.random.default_rng(1).normal(0, 0.01, (len(means), 200))
    values = {
        name: {"nDCG@10": mean + row - row.mean()} for (name, mean), row in zip(means.items(), noise, strict=True)
    }
    systems = [System(name, KINDS.get(name, "dense"), {}) for name in means]
    table = Scored(TestSet("toy", "epo", {}, {}, {}), "test", True, systems, values, ("nDCG@10",), reference)
    found = contrasts({name: own["nDCG@10"] for name, own in values.items()}, resamples=500)
    return Judged(table, found, frozenset(exports))


@pytest.mark.parametrize(
    ("means", "exports", "deployed"),
    [
        ({"BM25": 0.5, "base": 0.4, "adapted": 0.6, "hybrid": 0.7}, (), "hybrid"),
        ({"BM25": 0.5, "base": 0.4, "adapted": 0.7, "hybrid": 0.7}, (), "adapted"),
        ({"BM25": 0.7, "base": 0.4, "adapted": 0.7, "hybrid": 0.7}, (), "BM25"),
        ({"BM25": 0.5, "base": 0.7, "adapted": 0.7, "hybrid": 0.6}, (), "base"),
        ({"BM25": 0.5, "base": 0.4, "adapted": 0.7, "int8": 0.7, "hybrid": 0.7}, ("int8",), "int8"),
        ({"BM25": 0.5, "base": 0.4, "adapted": 0.7, "int8": 0.6, "hybrid": 0.7}, ("int8",), "adapted"),
        ({"BM25": 0.5, "base": 0.4, "control": 0.9, "adapted": 0.7, "hybrid": 0.6}, (), "adapted"),
        ({"BM25": 0.5, "base": 0.4, "other": 0.9}, (), "other"),
    ],
)
def test_the_simplest_of_the_best_is_deployed(means, exports, deployed):
    said = verdict(judged(exports=exports, **means))
    assert said["deploy"] == deployed
    assert said["sentence"].startswith(f"Deploy {deployed} (nDCG@10 0.")
    assert said["sentence"].count(". ") == 0


def test_the_sentence_says_what_the_adaptation_and_the_language_gave():
    said = verdict(judged(BM25=0.5, base=0.4, control=0.5, adapted=0.6, hybrid=0.7))["sentence"]
    assert "adapted is better than base (+0.200, 95% interval +0.1" in said
    assert "better than the same training on untranslated pairs (+0.100" in said
    assert "and hybrid is better than BM25 (+0.200" in said


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ({"base": 0.6, "adapted": 0.5}, "adapted is worse than base (-0.100"),
        ({"base": 0.6, "adapted": 0.6}, "adapted is not distinguishable from base (+0.000"),
        ({"base": 0.4, "control": 0.6, "adapted": 0.6}, "not distinguishable from the same training on untranslated"),
        ({"base": 0.4, "control": 0.6, "adapted": 0.5}, "worse than the same training on untranslated pairs (-0.100"),
        ({"base": 0.4}, "no adapted model was compared"),
        ({"base": 0.4, "trained": 0.5, "merged": 0.6, "last": 0.3}, "merged is better than base"),
        ({"base": 0.4, "trained": 0.5, "last": 0.6}, "last is better than base"),
    ],
)
def test_nothing_is_called_a_gain_that_is_none(means, words):
    assert words in verdict(judged(BM25=0.2, **means))["sentence"]


def test_bm25_may_be_the_reference_and_is_named_once():
    said = verdict(judged("BM25", BM25=0.5, adapted=0.6))["sentence"]
    assert said.count("better than BM25") == 1
    assert verdict(judged("BM25", BM25=0.7, adapted=0.6))["deploy"] == "BM25"
