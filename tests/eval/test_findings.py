"""A finding is judged by its queries and by every seed; its scripts name arms that there are."""

import importlib
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from toy import toy_seeds, translated, write_jsonl, write_test_set

from haystack_lrl.evaluation.statistics import paired
from haystack_lrl.records.pair import Pair

SCRIPTS = [
    "data_size",
    "distillation",
    "english_positives",
    "hard_negatives",
    "language_combinations",
    "merging",
    "noise",
]
SCRIPTS += ["noise", "recipe_parts", "task_mixture", "translation", "vocabulary_transfer"]

arms = importlib.import_module("eval.findings.arms")
bench = importlib.import_module("eval.findings.bench")
claim = importlib.import_module("eval.findings.claim")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_claim_names_arms_that_there_are(name):
    stated = importlib.import_module(f"eval.findings.{name}").CLAIM
    known = {*arms.arms("base"), "base"}
    assert stated.comparisons
    assert {arm for row in stated.comparisons for arm in (row.a, row.b)} <= known
    assert {row.measure for row in stated.comparisons} <= {
        "nDCG@10",
        "English nDCG@10",
        "accuracy@1",
        "cosine of unrelated",
    }


def test_all_claims_are_tested_by_one_command():
    text = Path(str(importlib.import_module("eval.findings").__path__[0]), "__main__.py").read_text(encoding="utf-8")
    assert all(f"\n    {name},\n" in text for name in SCRIPTS)


@pytest.mark.parametrize(
    ("gains", "seeds", "kind", "verdict"),
    [
        (0.3, [0.2, 0.4], "better", "holds"),
        (0.3, [-0.1, 0.7], "better", "not distinguishable"),  # the queries are sure, a seed is not
        (-0.3, [-0.2, -0.4], "better", "does not hold"),
        (0.0, [0.0, 0.0], "better", "not distinguishable"),
        (0.0, [0.0, 0.0], "no worse", "holds"),
        (-0.3, [-0.3, -0.3], "no worse", "does not hold"),
    ],
)
def test_verdicts(gains, seeds, kind, verdict):
    noise = np.random.default_rng(0).normal(0, 0.05, size=400)
    noise -= noise.mean()
    assert claim.verdict_of(paired(noise + gains, np.zeros(400)), seeds, kind) == verdict


def test_noise_spoils_the_share_that_it_names():
    words = [f"vorto{n}" for n in range(3000)]
    english = " ".join(f"word{n}" for n in range(3000))
    found = arms.spoilt(" ".join(words), english, 0.3, random.Random(1)).split()
    dropped = len(words) - len(found)
    left = sum(word.startswith("word") for word in found)
    assert 0.08 < dropped / 3000 < 0.12
    assert 0.08 < left / 3000 < 0.12
    assert arms.spoilt(" ".join(words), english, 0.0, random.Random(1)).split() == words


def test_rows_are_of_the_languages_that_their_arm_names():
    pairs = [Pair(f"demando {n}", f"teksto {n}", english_query=f"q {n}", english_passage=f"p {n}") for n in range(6)]
    kinds = [(row.pair.query[0], row.pair.passage[0]) for row in arms.three_combinations(pairs, 1)]
    assert kinds == [("d", "t"), ("d", "p"), ("q", "p")] * 2
    assert [row.pair.passage[0] for row in arms.half_cross_lingual(pairs, 1)] == ["t", "p"] * 3


def test_a_claim_is_tested_on_a_toy_set_and_kept(tmp_path, tiny_model, monkeypatch, capsys):
    rows = translated(toy_seeds(400))
    pairs = write_jsonl(tmp_path / "pairs.jsonl", rows)
    own = write_test_set(tmp_path / "own", translated(toy_seeds(20, seed=5)))
    english = write_test_set(tmp_path / "eng", toy_seeds(20, seed=6))
    sentences = [{"epo": row["passage"], "eng": row["english_passage"]} for row in translated(toy_seeds(10, seed=7))]
    parallel = write_jsonl(tmp_path / "parallel.jsonl", sentences)
    module = importlib.import_module("eval.findings.vocabulary_transfer")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "vocabulary_transfer.py"))
    small = {
        "words untrained": bench.Arm(pairs=40, rows=None),
        "plain": bench.Arm(pairs=200, grown=False, distilled=True),
        "translated": bench.Arm(pairs=40, trained_as="translated"),
    }
    monkeypatch.setattr(claim, "arms", lambda _: small)
    given = {"pairs": pairs, "base-model": tiny_model, "test-set": own, "retention": english, "parallel": parallel}
    options = [f"--{name}={value}" for name, value in {**given, "work": tmp_path / "work"}.items()]
    monkeypatch.setattr(sys, "argv", ["findings", *options, "--training-seeds", "1", "2"])
    claim.main(module)
    first = (tmp_path / "vocabulary_transfer.json").read_text(encoding="utf-8")
    result = json.loads(first)
    assert all(row["verdict"] in {"holds", "does not hold", "not distinguishable"} for row in result["comparisons"])
    assert set(result["arms"]) == {*small, "base"}
    assert all(len(arm["nDCG@10"]["seeds"]) == 2 for name, arm in result["arms"].items() if name != "base")
    assert "words untrained better plain" in capsys.readouterr().out
    assert (tmp_path / "work" / "translated-2.safetensors").is_file()
    monkeypatch.setattr(bench, "train", None)  # nothing is trained again
    claim.main(module)
    assert json.loads((tmp_path / "vocabulary_transfer.json").read_text(encoding="utf-8")) == result
