"""Both engines make the same rows, whatever the input's form, and each goes on where the other was killed."""

import json
import sys
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy
import yaml
from haystack.components.generators.chat import MockChatGenerator

from haystack_lrl.engine.making import run_job
from haystack_lrl.engine.settings import Engine
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.parts import parts_of, read_rows
from haystack_lrl.records.places import UNFINISHED
from haystack_lrl.synthesis.asking import AskSettings
from haystack_lrl.synthesis.jobs import Questions, Translation, Triplets

RAY = Engine(workers=2)


def seeds(count):
    """Rows among which every tenth comes again later, and every twentieth has no translation."""
    rows = [{"query": f"{row['query']} {n}", "passage": row["passage"]} for n, row in enumerate(toy.toy_seeds(count))]
    for row in rows[::20]:
        row["query"] += " lost"
    return [*rows, *rows[::10]]


def content(source):
    """Return the rows of an output, which come in any order, by their keys."""
    rows = [row.values for row in read_rows(source)]
    assert len({row["key"] for row in rows}) == len(rows)
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeds") / "seeds.jsonl"
    toy.write_jsonl(path, seeds(4546))
    lines = path.read_text().splitlines()
    path.write_text(
        "".join(line + "\n\n" * (n % 7 == 0) + "\n" for n, line in enumerate(lines))
    )  # ids are line numbers
    return path


@pytest.fixture(scope="module")
def here(many, apertium):
    """What the local engine makes of them."""
    output = many.with_name("local.jsonl")
    counts, _ = run_job(Translation("epo", apertium), many, output, progress=False)
    return output, counts


def test_five_thousand_rows_are_the_same_on_both_engines(ray_here, many, here, apertium, tmp_path, monkeypatch):
    monkeypatch.setattr("haystack_lrl.engine.making.parts_of", partial(parts_of, size=50_000))  # a dozen parts
    output, expected = here
    counts, _ = run_job(Translation("epo", apertium), many, tmp_path / "ray.jsonl", RAY, progress=False)
    assert counts.to_json() == expected.to_json()
    assert counts.rows == sum(1 for _ in read_jsonl(many)) > 5000
    assert counts.rejected["duplicate"] == 455
    assert counts.rejected["empty"] > 200
    assert content(tmp_path / "ray.jsonl") == content(output)


PROGRAM = """import os, pathlib, sys
folder = pathlib.Path({folder!r})
for line in sys.stdin:
    if "poison" in line and not (folder / "mended").exists():
        sys.exit(f"error: no word for {{line.strip()}}")
    if "deadly" in line and not (folder / "killed").exists() or "deadliest" in line:
        (folder / "killed").touch()
        os.kill(os.getppid(), 9)
    with (folder / "asked.txt").open("a") as file:
        file.write(line)
    print(" ".join(word if word.isdigit() else word[::-1] + "oj" for word in line.split()))
"""


@pytest.fixture
def program(tmp_path):
    """A translator that ends at the word poison until a file `mended` is there, and at deadly kills its worker once."""
    (tmp_path / "program.py").write_text(PROGRAM.format(folder=str(tmp_path)))
    return Translation("epo", f"command:{sys.executable} {tmp_path / 'program.py'}")


def few(path, word, count=60, at=40):
    """Write pairs, one of which has a word in its query."""
    rows = [{"query": f"river bridge {n}", "passage": f"The music of the garden {n}"} for n in range(count)]
    rows[at]["query"] += f" {word}"
    toy.write_jsonl(path, rows)
    return path


def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(ray_here, program, tmp_path):
    source = few(tmp_path / "seeds.jsonl", "deadly")
    counts, _ = run_job(program, source, tmp_path / "ray.jsonl", RAY, progress=False)
    assert (tmp_path / "killed").exists()
    assert counts.rows == 60
    run_job(program, source, tmp_path / "local.jsonl", progress=False)
    assert content(tmp_path / "ray.jsonl") == content(tmp_path / "local.jsonl")


def test_a_row_that_kills_every_worker_ends_the_command(ray_here, program, tmp_path, monkeypatch):
    monkeypatch.setattr("haystack_lrl.engine.flow.RETRIES", 1)
    source = few(tmp_path / "seeds.jsonl", "deadliest", count=8, at=5)
    with pytest.raises(InputError, match="A worker died again and again over the same rows: give workers more memory"):
        run_job(program, source, tmp_path / "pairs.jsonl", RAY, progress=False)


@pytest.mark.parametrize(("first", "second"), [(RAY, None), (None, RAY), (RAY, RAY)])
def test_either_engine_goes_on_where_the_other_stopped(ray_here, program, tmp_path, first, second):
    source = few(tmp_path / "seeds.jsonl", "poison")
    output = tmp_path / "pairs.jsonl"
    with pytest.raises(InputError, match=r"^The translator .* failed with exit code 1 \(error: no word for") as caught:
        run_job(program, source, output, first, progress=False)
    assert "\n" not in str(caught.value)
    done = {row["english_query"] for _, row in read_jsonl(tmp_path / "pairs.jsonl.partial")}
    (tmp_path / "mended").touch()
    asked = tmp_path / "asked.txt"
    asked.write_text("")
    counts, _ = run_job(program, source, output, second, progress=False)
    assert counts.to_json() == {"rows": 60, "kept": 60, "rejected": {}}
    assert not done & set(asked.read_text().splitlines())  # what is done is left out before the model is called
    assert len(content(output)) == 60


def test_a_folder_gets_shards_that_a_killed_run_goes_on_with(ray_here, program, tmp_path):
    source, folder = few(tmp_path / "seeds.jsonl", "poison"), f"{tmp_path}/pairs/"
    with pytest.raises(InputError, match="failed with exit code 1"):
        run_job(program, source, folder, RAY, progress=False)
    with pytest.raises(InputError, match="is not finished"):
        content(folder)
    (tmp_path / "mended").touch()
    (tmp_path / "pairs" / "part-of-nobody.jsonl.partial").write_text("torn")
    first = {path.name for path in (tmp_path / "pairs").glob("part-*.jsonl")}
    counts, _ = run_job(program, source, folder, RAY, progress=False)
    assert first < {path.name for path in (tmp_path / "pairs").glob("part-*.jsonl")}
    assert counts.to_json() == {"rows": 60, "kept": 60, "rejected": {}}
    manifest = json.loads((tmp_path / "pairs" / "_manifest.json").read_text())
    assert (manifest["rows"], manifest["kept"]) == (60, 60)
    assert not list((tmp_path / "pairs").glob("*.partial"))
    assert not (tmp_path / "pairs" / UNFINISHED).exists()
    run_job(program, source, tmp_path / "local.jsonl", progress=False)
    assert content(folder) == content(tmp_path / "local.jsonl")
    (tmp_path / "mended").unlink()  # whatever was asked for again would fail now
    assert run_job(program, source, folder, RAY, progress=False)[0].to_json() == counts.to_json()
    with pytest.raises(InputError, match="was made with other settings"):
        run_job(replace(program, gate=None), source, folder, RAY, progress=False)
    assert len(content(folder)) == 60  # what is refused stays finished
    with pytest.raises(InputError, match="holds 2 rows that are not of this input"):
        run_job(program, few(source, "", 59), folder, RAY, progress=False)


def test_parquet_and_compressed_folders_go_to_a_url(ray_here, program, tmp_path):
    rows = [{"query": f"river {n}", "passage": f"The garden {n}", "id": str(n)} for n in range(50)]
    (tmp_path / "in").mkdir()
    toy.write_jsonl(tmp_path / "in" / "a.jsonl", rows[:20])
    pq.write_table(pa.Table.from_pylist(rows[15:]), tmp_path / "in" / "b.parquet", row_group_size=11)
    url = f"file://{tmp_path}/out"
    counts, _ = run_job(program, f"file://{tmp_path}/in", url, RAY, progress=False)
    assert counts.to_json() == {"rows": 55, "kept": 50, "rejected": {"duplicate": 5}}
    local, _ = run_job(program, tmp_path / "in", tmp_path / "local.jsonl", progress=False)
    assert local.to_json() == counts.to_json()
    assert content(url) == content(tmp_path / "local.jsonl")


def test_questions_and_triplets_are_the_same_with_what_was_drawn(ray_here, tmp_path):
    answer = dict.fromkeys(("summary", "query", "positive", "negative"), "Kie staras la malnova ponto de la urbo?")
    answer["negative"] = "Neniu ponto staras en tiu malgranda urbo."
    (tmp_path / "generator.yaml").write_text(yaml.safe_dump(MockChatGenerator(json.dumps(answer)).to_dict()))
    passages = [{"text": f"La ponto numero {n} staras apud la rivero. " * (n % 3 + 1)} for n in range(90)]
    toy.write_jsonl(tmp_path / "passages.jsonl", passages)
    generator = str(tmp_path / "generator.yaml")
    settings = AskSettings(exemplars=1, per_passage=2, sample=25, styles={"question": 2, "claim": 1})
    for job in (Questions("epo", generator, settings), Triplets("epo", generator)):
        source, ray, local = (tmp_path / name for name in ("passages.jsonl", f"{job.what}-r", f"{job.what}-l"))
        counts, used = run_job(job, source, ray, RAY, progress=False)
        assert counts.rows == (50 if job.what == "ask" else 90)
        expected, expected_use = run_job(job, source, local, progress=False)
        assert (counts.to_json(), used) == (expected.to_json(), expected_use)
        assert content(ray) == content(local)


def test_errors_of_the_input_name_file_and_line(ray_here, program, tmp_path):
    source = few(tmp_path / "seeds.jsonl", "")
    with source.open("a") as file:
        file.write('{"query": "no passage"}\n')
    with pytest.raises(InputError, match=r"seeds.jsonl line 61 has the columns query but not 'passage'"):
        run_job(program, source, tmp_path / "pairs.jsonl", RAY, progress=False)
    source.write_text("")
    with pytest.raises(InputError, match="There is nothing to translate: the input holds no rows"):
        run_job(program, source, tmp_path / "pairs.jsonl", RAY, progress=False)
    with pytest.raises(InputError, match="is not a file"):
        run_job(program, tmp_path / "no.jsonl", tmp_path / "pairs.jsonl", RAY, progress=False)


def test_a_folder_takes_ray(program, tmp_path):
    with pytest.raises(InputError, match="is a folder, which takes --engine ray"):
        run_job(program, few(tmp_path / "seeds.jsonl", ""), tmp_path, progress=False)
