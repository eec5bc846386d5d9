import json
from pathlib import Path

import numpy as np
import pytest
from exports import export
from sentence_transformers.models import Dense
from toy import build_tiny_model, toy_seeds, write_test_set

from haystack_lrl.encoding.exported import ExportedEncoder
from haystack_lrl.evaluation.contenders import Contender, contest, load_contender, retention_specs, tokenizer_of
from haystack_lrl.evaluation.ranked import rank, reference_of
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.records.errors import InputError


def test_the_hybrid_is_of_the_last_model_or_of_the_one_named():
    asked = contest(["base=m/a", "bm25", "adapted=m/b"], [], ["other=x.trec"])
    assert asked.contenders == [Contender("base", ("m/a",)), Contender("adapted", ("m/b",))]
    assert asked.hybrid == asked.contenders[1]
    assert asked.runs == [("other", Path("x.trec"))]
    assert contest(["base=m/a", "adapted=m/b", "hybrid=base"], [], []).hybrid == Contender("base", ("m/a",))
    assert contest(["base=m/a", "hybrid=m/a"], [], []).hybrid == Contender("base", ("m/a",))
    assert contest(["base=m/a", "hybrid=m/c"], [], []).hybrid == Contender("hybrid", ("m/c",))
    assert contest(["BM25"], [], ["other=x.trec"]).hybrid is None


def test_seeds_are_one_system():
    asked = contest(["base=m/a"], ["adapted=s/1,s/2,s/3"], [])
    assert asked.contenders[1] == Contender("adapted", ("s/1", "s/2", "s/3"))
    assert asked.hybrid == asked.contenders[1]


@pytest.mark.parametrize(
    ("systems", "seeds", "runs", "said"),
    [
        (["base"], [], [], "'base' is not NAME=PATH"),
        (["=x"], [], [], "is not NAME=PATH"),
        (["a=x", "A=y"], [], [], "Two systems are called 'a'"),
        (["a=x"], ["a=y,z"], [], "Two systems are called 'a'"),
        (["bm25=x"], [], [], "Two systems are called"),
        (["a=x"], [], ["hybrid=y"], "Two systems are called 'hybrid'"),
        (["hybrid=x", "a=z"], [], ["hybrid=y"], "Two systems are called 'hybrid'"),
        (["bm25"], [], [], "nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_refused(systems, seeds, runs, said):
    with pytest.raises(InputError, match=said):
        contest(systems, seeds, runs)


def test_the_reference_is_base_or_the_first_or_the_one_named():
    assert reference_of(contest(["other=m/a", "base=m/b"], [], []), "") == "base"
    assert reference_of(contest(["other=m/a", "third=m/b"], [], []), "") == "other"
    assert reference_of(contest(["other=m/a"], [], []), "BM25") == "BM25"
    with pytest.raises(InputError, match="'x' is none of the systems other, BM25"):
        reference_of(contest(["other=m/a"], [], []), "x")


def test_retention_sets_are_named_by_language():
    assert retention_specs(["eng=a/b", "swe=beir:c"]) == [("eng", "a/b"), ("swe", "beir:c")]
    for wrong in ("eng", "xx9=a"):
        with pytest.raises(InputError):
            retention_specs([wrong])


def test_an_export_ranks_as_the_model_it_was_made_of(tiny_model, tmp_path):
    pytest.importorskip("openvino")
    folder = export(tiny_model, tmp_path / "export", "openvino-fp32")
    encoder = load_contender(str(folder), progress=False)
    assert isinstance(encoder, ExportedEncoder)
    assert tokenizer_of(encoder).unk_token == "[UNK]"
    test_set = load_test_set(write_test_set(tmp_path / "judge", toy_seeds(12)), "epo")
    asked = contest([f"base={tiny_model}", f"fast={folder}"], [], [])
    found = rank([test_set], asked, reference="base", hybrid_weight=0.5, split=True, progress=False)
    _, base, fast, hybrid = found.systems[0]
    assert (fast.note, found.exports, found.dimensions) == ("openvino-fp32", {"fast"}, {"base": 32, "fast": 32})
    assert hybrid.note == "BM25 and fast, dense weight 0.5"
    for query, scores in base.run.items():
        np.testing.assert_allclose([fast.run[query][name] for name in scores], list(scores.values()), atol=2e-2)


def test_seeds_of_different_models_are_refused(tiny_model, tmp_path):
    other = build_tiny_model(tmp_path / "other")
    settings = json.loads((other / "modules.json").read_text())
    settings.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (other / "2_Dense").mkdir()
    Dense(32, 8).save(str(other / "2_Dense"))
    (other / "modules.json").write_text(json.dumps(settings))
    test_set = load_test_set(write_test_set(tmp_path / "judge", toy_seeds(4)), "epo")
    asked = contest([], [f"adapted={tiny_model},{other}"], [])
    with pytest.raises(InputError, match=r"of 8 dimensions, but .* of 32: seeds of 'adapted' must be"):
        rank([test_set], asked, reference="adapted", hybrid_weight=0.5, split=True, progress=False)
