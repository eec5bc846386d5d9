"""The plan's numbers by hand, and what a user sees of them."""

import json
import re
import sys

import pytest
from click.testing import CliRunner
from toy import write_jsonl

from haystack_lrl.adaptation.settings import TrainingSettings
from haystack_lrl.cli.plan import plan_command
from haystack_lrl.curation.filtering import FilterSettings
from haystack_lrl.planning.cluster import (
    FORMS,
    GIB,
    SOURCES,
    Cluster,
    index_needs,
    searched_bytes,
    stored_bytes,
    suggested,
)
from haystack_lrl.planning.hours import stage_times
from haystack_lrl.planning.plan import Job, make_plan, text_of_plan
from haystack_lrl.planning.rates import Rates, read_rates
from haystack_lrl.records.errors import InputError

FORM = {form.name: form for form in FORMS}
RATES = Rates(1000.0, 50.0, 400.0, 2000.0, 60.0, 384, "cpu", "a model", "a translator")
ORIGINS = {"rates": "measured", "cluster": "given"}


# the documentation's own examples: a million vectors of 256 dimensions, M 16
@pytest.mark.parametrize(
    ("form", "gigabytes"),
    [
        ("float (lucene)", 1.267),
        ("float (faiss)", 1.267),
        ("fp16 (faiss sq)", 0.704),  # the page prints 0.656, which its own formula does not give
        ("7 bits (lucene sq, 4x)", 0.422),
        ("byte", 0.422),
        ("4 bits (on_disk 8x)", 0.282),
        ("2 bits (on_disk 16x)", 0.211),
        ("1 bit (on_disk 32x)", 0.176),
    ],
)
def test_memory_is_that_of_the_documentation(form, gigabytes):
    assert searched_bytes(FORM[form], 256, 16) * 1e6 / 1e9 == pytest.approx(gigabytes, abs=0.0006)


def test_disk_holds_floats_codes_and_links():
    assert stored_bytes(FORM["float (lucene)"], 384, 16) == 4 * 384 + 8 * 16
    assert stored_bytes(FORM["fp16 (faiss sq)"], 384, 16) == 4 * 384 + 2 * 384 + 8 * 16
    assert stored_bytes(FORM["byte"], 384, 16) == 384 + 8 * 16
    assert stored_bytes(FORM["1 bit (on_disk 32x)"], 384, 16) == 4 * 384 + 384 / 8 + 8 * 16


@pytest.mark.parametrize(("memory", "native"), [(64, 16), (16, 4), (100, 34), (128, 48)])
def test_the_heap_takes_half_and_at_most_32_gib_and_vectors_half_of_the_rest(memory, native):
    assert Cluster(384, node_memory=memory * GIB).native_memory == native * GIB


def test_replicas_multiply_and_copies_need_nodes_of_their_own():
    one = index_needs(FORM["byte"], 1000, 0, Cluster(384, replicas=0))
    three = index_needs(FORM["byte"], 1000, 0, Cluster(384, replicas=2))
    assert three.memory == pytest.approx(3 * one.memory)
    assert three.disk == pytest.approx(3 * one.disk) == pytest.approx(3 * 1000 * 512 / 0.85)
    assert (one.nodes, three.nodes, one.shards, three.shards) == (1, 3, 1, 1)


def test_nodes_and_shards_by_hand():
    needs = index_needs(FORM["float (lucene)"], 50_000_000, 0, Cluster(384))
    assert needs.memory == pytest.approx(2 * 50e6 * 1.1 * (4 * 384 + 8 * 16))  # 183 GB
    assert needs.nodes == 11  # of 16 GiB each: 10.65
    assert needs.shards == 3  # 83.2 GB by 30 GiB: 2.58


@pytest.mark.parametrize(("passages", "form"), [(1_000_000, "float"), (50_000_000, "4x")])
def test_small_vectors_are_suggested_where_they_save_nodes(passages, form):
    assert suggested([index_needs(each, passages, 0, Cluster(384)) for each in FORMS]) == form


def test_hours_by_hand():
    times = {time.stage: time for time in stage_times(1000, 5000, 4, 2, RATES)}
    assert (times["translate"].one, times["translate"].many) == (1000, 250)
    assert times["filter"].one == pytest.approx(4 * 1000 * FilterSettings().max_length / 1000)
    trained = 1.25 * TrainingSettings().max_length * TrainingSettings().epochs * 3.5
    assert times["train"].one == pytest.approx(trained)
    assert times["train"].many == pytest.approx(trained / 2)
    assert (times["index"].one, times["index"].many) == (250, 62.5)


def test_what_was_not_measured_has_no_time():
    for time in stage_times(1000, 5000, 4, 2, Rates()):
        assert time.one is time.many is None
        assert "not measured: give --" in time.note


def test_the_text_says_what_is_measured_and_what_is_not():
    job = Job(1_000_000, 50_000_000, 8, 8)
    text = text_of_plan(make_plan(job, Rates(bytes_per_passage=400.0), Cluster(384), ORIGINS))
    assert re.search(r"translate +- +- +not measured: give --translator", text)
    assert re.search(r"index +- +- +not measured: give --model", text)
    assert re.search(r"float \(lucene\) +183\.0 GB", text)
    assert "extrapolated" in text
    assert all(source in text for source in SOURCES.values())
    measured = text_of_plan(make_plan(job, RATES, Cluster(384), ORIGINS))
    assert re.search(r"translate +277\.8 h +34\.7 h", measured)
    assert re.search(r"pairs +2\.0 GB", measured)


# the command


def plan(*more):
    return CliRunner().invoke(plan_command, ["--rows", "1000", "--passages", "20000", *map(str, more)])


def test_rates_are_measured_here_and_read_elsewhere(tiny_model, tmp_path):
    upper = tmp_path / "upper.py"
    upper.write_text("import sys\nprint(sys.stdin.read().upper())\n")
    translator = ["--translator", f"command:{sys.executable} {upper}", "--language", "epo"]
    done = plan("--gpus", 2, "--workers", 4, "--model", tiny_model, *translator, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    rates = told["rates"]
    assert min(rates[name] for name in ("tokens_per_second", "tokens_per_passage", "rows_per_minute")) > 0
    assert told["cluster"]["dimensions"] == rates["dimensions"]
    stages = {stage["stage"]: stage for stage in told["stages"]}
    assert stages["translate"]["one"] == pytest.approx(1000 * 60 / rates["rows_per_minute"])
    assert stages["index"]["many"] == pytest.approx(stages["index"]["one"] / 4)
    assert stages["train"]["many"] == pytest.approx(stages["train"]["one"] / 2)
    assert "encoding measured now" in told["origins"]["rates"]
    kept = tmp_path / "rates.json"
    kept.write_text(done.stdout)
    again = json.loads(plan("--estimate", kept, "--json").stdout)
    assert again["rates"] == rates
    assert again["origins"]["rates"].endswith(f"rates read from {kept}")


def test_without_a_model_the_index_is_planned_and_the_time_is_not(tmp_path):
    corpus = write_jsonl(tmp_path / "c.jsonl", [{"_id": "1", "text": "x" * 100}, {"_id": "2", "text": "ŝ" * 100}])
    done = plan("--corpus", corpus)
    assert done.exit_code == 0, done.output
    assert re.search(r"passage text +150 bytes", done.output)
    assert "384 dimensions" in done.output
    assert "not measured: give --model" in done.output


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--rows", "0"], "x>=1"),
        (["--gpus", "0"], "x>=1"),
        (["--shard-size", "100"], "10<=x<=50"),
        (["--links", "1"], "2<=x<=100"),
        (["--replicas", "-1"], "x>=0"),
        (["--translator", "command:cat"], "--translator needs --language"),
    ],
)
def test_values_that_cannot_be(given, says):
    done = plan(*given)
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"rates": 5}', '{"rates": {"rows_per_minute": 0}}', '{"rates": {"dimensions": "x"}}']
)
def test_an_estimate_that_is_none_is_an_error(tmp_path, text):
    path = tmp_path / "rates.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"rates\.json holds no rates"):
        read_rates(path)


def test_files_that_are_not_there_or_empty_are_named(tmp_path):
    empty = write_jsonl(tmp_path / "empty.jsonl", [])
    for option, path, says in (
        ("--estimate", tmp_path / "none.json", "none.json cannot be read"),
        ("--seeds", empty, "holds no pairs"),
        ("--corpus", empty, "holds no text"),
        ("--corpus", tmp_path / "none.jsonl", "is not a file"),
    ):
        error = plan(option, path).exception
        assert isinstance(error, InputError), option
        assert says in str(error)
