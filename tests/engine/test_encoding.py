"""Filters and miners find the same with an encoder on Ray's workers, and so does a whole run."""

import json
from collections import Counter
from functools import partial

import numpy as np
import pytest
import toy

from haystack_lrl.adaptation.vocabulary.tokenizer import plain_tokenizer, words_of
from haystack_lrl.curation.filtering import FilterSettings, filter_file
from haystack_lrl.curation.mining import MiningSettings, mine_file
from haystack_lrl.curation.teachers import Bm25
from haystack_lrl.encoding.encoder import load_model
from haystack_lrl.engine.counting import count_words
from haystack_lrl.engine.encoding import EncoderSettings, encoder_on, teacher_on
from haystack_lrl.engine.settings import Engine
from haystack_lrl.languages.table import language
from haystack_lrl.recipe import build
from haystack_lrl.records.corpus import read_texts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.pair import read_pairs
from haystack_lrl.records.parts import parts_of
from haystack_lrl.run import adapt

RAY = Engine(workers=2)
EPO = language("epo")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    rows = toy.translated(toy.toy_seeds(300))
    for n, row in enumerate(rows[::7]):
        row["passage"] = row["passage"] + " pli da vortoj" * (n % 3)
    toy.write_jsonl(path, [*rows, *rows[:20]])
    return path


def lines(path):
    return [row for _, row in read_jsonl(path)]


def test_vectors_come_in_the_order_of_their_texts(ray_here, tiny_model):
    texts = [f"ponto {'longa ' * (n * 7 % 23)}numero {n}" for n in range(300)]
    settings = EncoderSettings(str(tiny_model), max_length=16, prompts={"query": "q: ", "passage": ""})
    expected = settings.build()
    with encoder_on(settings, RAY) as encoder:
        for role in ("query", "passage"):
            np.testing.assert_allclose(encoder.encode(texts, role), expected.encode(texts, role), atol=1e-5)
        assert encoder.encode([], "query").shape == expected.encode([], "query").shape


def test_filtering_and_mining_are_the_same(ray_here, tiny_model, pairs, tmp_path):
    settings = EncoderSettings(str(tiny_model), max_length=64)
    for name, engine in (("local", None), ("ray", RAY)):
        kept, rejected = tmp_path / name / "kept.jsonl", tmp_path / name / "rejected.jsonl"
        with encoder_on(settings, engine) as scorer:
            counts = filter_file(pairs, kept, rejected, EPO, FilterSettings(), scorer)
            mine_file(read_pairs(kept), tmp_path / f"{name}.jsonl", scorer, MiningSettings(negatives=3), seed=1)
        assert counts.rows == 320
        assert {"semantic drift", "translation drift", "duplicate"} <= counts.rejected.keys()
    for name in ("kept.jsonl", "rejected.jsonl"):
        assert lines(tmp_path / "ray" / name) == lines(tmp_path / "local" / name)
    assert lines(tmp_path / "ray.jsonl") == lines(tmp_path / "local.jsonl")


def test_a_model_that_is_not_there_is_named(ray_here, tmp_path):
    with (
        encoder_on(EncoderSettings(str(tmp_path / "no")), RAY) as encoder,
        pytest.raises(InputError, match="no is not a folder"),
    ):
        encoder.encode(["a"], "query")


def test_bm25_needs_no_workers(tmp_path):
    with teacher_on("bm25", EPO, Engine("nowhere:1")) as teacher:
        assert teacher == Bm25(EPO)


@pytest.mark.slow
def test_a_whole_run_is_the_same_on_ray(ray_here, tiny_model, apertium, tmp_path):
    toy.write_jsonl(tmp_path / "seeds.jsonl", toy.toy_seeds(120))
    toy.write_test_set(tmp_path / "test", toy.translated(toy.toy_seeds(40, seed=5)))
    tree = {
        "language": "epo",
        "seeds": str(tmp_path / "seeds.jsonl"),
        "translator": apertium,
        "base_model": str(tiny_model),
        "gate": None,
        "mining": {"negatives": 1},
        "training": {"epochs": 1, "batch_size": 16, "evaluations": 1},
        "merge": {"weights": [0.5]},
        "evaluation": {"test_sets": [str(tmp_path / "test")]},
    }
    results = [
        adapt(build(tree, "test"), tmp_path / name, engine, progress=False)
        for name, engine in (("local", None), ("ray", RAY))
    ]
    made = [sorted(json.dumps(row) for row in lines(tmp_path / name / "pairs.jsonl")) for name in ("local", "ray")]
    assert made[0] == made[1]
    stages = [json.loads((tmp_path / name / "manifest.json").read_text())["stages"] for name in ("local", "ray")]
    for stage in ("translate", "filter", "mine"):
        assert stages[0][stage]["rows"] == stages[1][stage]["rows"]
    assert all("verdict" in result for result in results)


def test_words_are_counted_part_by_part(ray_here, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("haystack_lrl.engine.counting.parts_of", partial(parts_of, size=1000))
    backend = plain_tokenizer(load_model(tiny_model, device="cpu"))
    (tmp_path / "docs").mkdir()
    toy.write_jsonl(tmp_path / "docs" / "a.jsonl", toy.toy_seeds(60))
    (tmp_path / "lines.txt").write_text("river bridge\n\nBridge  garden\n" * 90)
    for source, file in ((tmp_path / "docs", tmp_path / "docs" / "a.jsonl"), (tmp_path / "lines.txt",) * 2):
        expected = Counter(word for text in read_texts(file) for word in words_of(backend, text))
        assert count_words(backend, source, RAY) == expected
