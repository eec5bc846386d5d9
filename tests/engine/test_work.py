"""What a worker does, without Ray around it."""

import sys
from pathlib import Path

import pytest
import toy

import haystack_lrl
from haystack_lrl.engine.flow import told, values_of
from haystack_lrl.engine.shards import Shards
from haystack_lrl.engine.work import Stretch, Worker, read_items, survey
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair
from haystack_lrl.records.parts import Part, parts_of, read_rows
from haystack_lrl.records.store import settings_hash
from haystack_lrl.synthesis.jobs import Translation

UPPER = "import sys\nfor line in sys.stdin:\n    sys.exit('error: poison') if 'poison' in line else print(line.upper())"


@pytest.fixture
def job(tmp_path):
    (tmp_path / "upper.py").write_text(UPPER)
    return Translation("epo", f"command:{sys.executable} upper.py", gate=None)  # relative to the command's folder


@pytest.fixture
def worker(job, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(sys.executable).parent)  # wherever a node's workers were started

    own = settings_hash(job.build().settings)

    def made(settings=own, version=haystack_lrl.__version__, shards=None):
        return Worker(job, settings, version, str(tmp_path), 2, shards)

    return made


def handed(worker, *groups):
    """Return what a worker hands over, up to an error, and the error."""
    made = []
    try:
        for block in told(groups):
            for answer in worker(block):
                made += values_of(answer)
    except InputError as error:
        return made, str(error)
    return made, ""


def pairs(*queries):
    return [Pair(query, "text") for query in queries]


def test_rows_are_handed_over_by_number(worker):
    made, error = handed(worker(), pairs("a", "b", "c"), pairs("d"))
    assert [[row["query"] for _, row in one.rows] for one in made] == [["A", "B"], ["C"], ["D"]]
    assert not error
    again, _ = handed(worker(), pairs("a", "b", "c"), pairs("d"))
    assert again == made  # a worker that takes a dead one's place parts a batch as that one did


def test_what_was_made_before_a_poisoned_row_is_handed_over(worker):
    made, error = handed(worker(), pairs("a", "b", "c"), pairs("poison"), pairs("d"))
    assert [row["query"] for one in made for _, row in one.rows] == ["A", "B", "C"]
    assert error.startswith("The translator ")
    assert "failed with exit code 1 (error: poison)" in error


def test_shards_hold_a_batch_each(worker, tmp_path):
    shards = Shards(str(tmp_path / "out"), "s")
    shards.found()
    shards.begin()
    made, _ = handed(worker(shards=shards), pairs("a", "b", "c"), pairs("d"))
    assert [len(one.keys) for one in made] == [3, 1]
    assert not any(one.rows for one in made)
    (tmp_path / "out" / "_unfinished").unlink()
    assert sorted(row.values["query"] for row in read_rows(tmp_path / "out")) == ["A", "B", "C", "D"]
    assert {row.values["key"] for row in read_rows(tmp_path / "out")} == {key for one in made for key in one.keys}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"settings": "other"}, "has another model, program or prompts than this command"),
        ({"version": "0.0.1"}, f"has haystack-lrl {haystack_lrl.__version__}, but this command is 0.0.1"),
    ],
)
def test_a_node_that_is_not_like_the_command_is_named(worker, given, message):
    made, error = handed(worker(**given), pairs("a"))
    assert not made
    assert error.startswith("The node ")
    assert message in error


def surveys(job, stretches, *, counting=False):
    return [found for block in told(stretches) for one in survey(block, job=job, settings="s", counting=counting)
            for found in values_of(one)]  # fmt: skip


def test_a_survey_counts_lines_and_names_items(job, tmp_path):
    rows = [{"query": f"q{n}", "passage": "p"} for n in range(9)]
    path = tmp_path / "seeds.jsonl"
    toy.write_jsonl(path, rows)
    path.write_text("\n\n" + path.read_text() + "\n\n")
    parts = [Stretch(part) for part in parts_of(str(path), 100)]
    found = surveys(job, parts)
    assert [sum(values) for values in zip(*((one.rows, one.lines, len(one.keys)) for one in found), strict=True)] == [
        9,
        13,
        90,
    ]
    assert [one.keys for one in surveys(job, parts, counting=True)] == [b""] * len(parts)
    drawn = surveys(job, [Stretch(Part(str(path)), chosen=bytes([0, 1, 0, 0, 1, 0, 0, 0, 0]))])
    assert drawn[0].keys == b"".join(one.keys for one in found)[10:20] + b"".join(one.keys for one in found)[40:50]


def test_an_error_deep_in_a_file_names_its_line(job, tmp_path):
    path = tmp_path / "seeds.jsonl"
    toy.write_jsonl(path, [{"query": f"q{n}", "passage": "p"} for n in range(9)])
    path.write_text(path.read_text() + "\n\n{}\n")
    last = list(parts_of(str(path), 100))[-1]
    with pytest.raises(InputError, match=r"seeds.jsonl line 12 has the columns none but not 'query'"):
        surveys(job, [Stretch(last)])


def test_only_wanted_items_are_read(job, tmp_path):
    path = tmp_path / "seeds.jsonl"
    toy.write_jsonl(path, [{"query": f"q{n}", "passage": "p"} for n in range(5)])
    (block,) = told([Stretch(Part(str(path)), wanted=bytes([1, 0, 1, 1, 0]))])
    groups = [group for one in read_items(block, job=job, size=2) for group in values_of(one)]
    assert [[pair.query for pair in group] for group in groups] == [["q0", "q2"], ["q3"]]
