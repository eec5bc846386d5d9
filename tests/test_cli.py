"""What a user sees who gives something wrong: one sentence, exit code 2, nothing lost."""

import json
import os
import subprocess
import sys

import pytest
import toy
import yaml
from click.testing import CliRunner
from haystack.components.generators.chat import MockChatGenerator

from haystack_lrl.cli import main


@pytest.fixture
def seeds(tmp_path):
    return toy.write_jsonl(tmp_path / "seeds.jsonl", toy.toy_seeds(40))


def script(tmp_path, name, body):
    path = tmp_path / name
    path.write_text(f"import sys, time\n{body}\n")
    return f"command:{sys.executable} {path}"


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def adapt(tmp_path, seeds, model, *more, translator=None, language="epo"):
    return invoke(
        "adapt", "--language", language, "--seeds", seeds, "--base-model", model, "--output", tmp_path / "run",
        "--translator", translator or script(tmp_path, "upper.py", "print(sys.stdin.read().upper())"), "--quiet", *more,
    )  # fmt: skip


def assert_refused(result, *parts):
    assert result.exit_code == 2, result.output
    for part in parts:
        assert str(part) in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_missing_seed_file(tmp_path, tiny_model):
    assert_refused(adapt(tmp_path, tmp_path / "none.jsonl", tiny_model), tmp_path / "none.jsonl", "check the path")


def test_wrong_column_names_the_line_and_what_is_there(tmp_path, tiny_model):
    path = toy.write_jsonl(tmp_path / "s.jsonl", [{"title": "a", "body": "b"}])
    assert_refused(adapt(tmp_path, path, tiny_model), "line 1", "title, body", "query_column")


def test_columns_can_be_named(tmp_path, tiny_model):
    path = toy.write_jsonl(tmp_path / "s.jsonl", [{"title": "a", "body": "b"}])
    result = adapt(
        tmp_path, path, tiny_model, "--set=query_column=title", "--set=passage_column=body", "--print-recipe"
    )
    assert yaml.safe_load(result.output)["query_column"] == "title"


def test_invalid_json_names_the_line(tmp_path, tiny_model, seeds):
    with seeds.open("a") as file:
        file.write("{broken\n")
    assert_refused(adapt(tmp_path, seeds, tiny_model), f"{seeds} line 41", "not valid JSON")


def test_empty_seed_file(tmp_path, tiny_model):
    path = toy.write_jsonl(tmp_path / "s.jsonl", [])
    assert_refused(adapt(tmp_path, path, tiny_model), path, "holds no pairs")


def test_unknown_language(tmp_path, tiny_model, seeds):
    assert_refused(adapt(tmp_path, seeds, tiny_model, language="esperant"), "esperant", "epo")


def test_base_model_that_does_not_exist(tmp_path, seeds):
    assert_refused(adapt(tmp_path, seeds, tmp_path / "no-model"), tmp_path / "no-model", "check the path")


def test_base_model_that_the_hub_cannot_serve(tmp_path, seeds):
    assert_refused(adapt(tmp_path, seeds, "nobody/no-such-model"), "nobody/no-such-model", "could not be loaded")


def test_unknown_setting_suggests_the_near_one(tmp_path, seeds, tiny_model):
    result = adapt(tmp_path, seeds, tiny_model, "--set=training.epoch=3")
    assert_refused(result, "training.epoch", "training.epochs")


def test_setting_out_of_range(tmp_path, seeds, tiny_model):
    assert_refused(adapt(tmp_path, seeds, tiny_model, "--set=training.batch_size=1"), "batch_size")


def test_unknown_recipe(tmp_path):
    assert_refused(invoke("adapt", "--recipe", "klingon"), "klingon", "armenian, georgian")


def test_translator_that_is_not_installed(tmp_path, seeds, tiny_model):
    result = adapt(tmp_path, seeds, tiny_model, translator="command:no-such-translator -u")
    assert_refused(result, "no-such-translator", "install it")


def test_translator_that_dies_keeps_what_is_done_and_a_rerun_completes(tmp_path, seeds, tiny_model):
    flag = tmp_path / "dies"
    flag.touch()
    body = (
        "import os\ntext = sys.stdin.read()\n"
        f"if os.path.exists({str(flag)!r}) and 's30' in text:\n    sys.exit('out of dictionary')\nprint(text[::-1])"
    )
    rows = [{**row, "query": f"{row['id']} {row['query']}"} for row in toy.toy_seeds(40)]
    path = toy.write_jsonl(tmp_path / "s.jsonl", rows)
    translator = script(tmp_path, "dies.py", body.replace("text[::-1]", "text.upper()"))
    arguments = ["translate", "--language", "epo", "--seeds", path, "--translator", translator, "--max-copied", "1"]
    arguments += ["--output", tmp_path / "pairs.jsonl", "--quiet"]
    first = invoke(*arguments)
    assert_refused(first, "out of dictionary", "code 1")
    flag.unlink()
    second = invoke(*arguments)
    assert second.exit_code == 0, second.output
    made = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert [row["id"] for row in made] == [row["id"] for row in rows]
    assert all(row["query"] == row["english_query"].upper() for row in made)


def test_translator_that_hangs(tmp_path, seeds, tiny_model):
    hangs = script(tmp_path, "hangs.py", "time.sleep(600)")
    result = adapt(tmp_path, seeds, tiny_model, "--set=translator_timeout=1", translator=hangs)
    assert_refused(result, "1 s", "timeout")


def test_copies_of_the_source_stop_the_run(tmp_path, seeds, tiny_model):
    result = adapt(tmp_path, seeds, tiny_model, translator=script(tmp_path, "cat.py", "print(sys.stdin.read())"))
    assert result.exit_code == 2
    assert "100%" in result.output
    assert "copies of their source" in result.output
    again = adapt(tmp_path, seeds, tiny_model, translator=script(tmp_path, "cat.py", "print(sys.stdin.read())"))
    assert again.exit_code == 2, "a rerun must not take the copies for finished work"


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 32 KiB; `grow` gives it room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_full_disk_loses_nothing_and_a_rerun_completes(tmp_path, small_disk):
    rows = toy.toy_seeds(120)
    seeds = toy.write_jsonl(tmp_path / "s.jsonl", rows)
    upper = script(tmp_path, "upper.py", "print(sys.stdin.read().upper())")
    output = small_disk / "pairs.jsonl"
    arguments = [
        "translate",
        "--language",
        "epo",
        "--seeds",
        seeds,
        "--translator",
        upper,
        "--output",
        output,
        "--quiet",
    ]
    arguments += ["--max-copied", "1"]
    assert_refused(invoke(*arguments), "No space left on device", "run the same command again")
    done = len((small_disk / "pairs.jsonl.partial").read_bytes().splitlines())
    assert 0 < done < 120
    subprocess.run(["mount", "-o", "remount,size=10m", small_disk], check=True)
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    made = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["id"] for row in made] == [row["id"] for row in rows]


def test_output_directory_that_is_no_run(tmp_path, seeds, tiny_model):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    assert_refused(adapt(tmp_path, seeds, tiny_model), tmp_path / "run", "--output")
    assert (tmp_path / "run" / "thesis.tex").read_text() == "mine"


def test_missing_required_setting(tmp_path, seeds):
    result = invoke("adapt", "--language", "epo", "--seeds", seeds, "--output", tmp_path / "run")
    assert_refused(result, "translator")


def test_recipe_armenian_prints_the_papers_settings(seeds):
    result = invoke("adapt", "--recipe", "armenian", "--seeds", seeds, "--set", "training.epochs=3", "--print-recipe")
    tree = yaml.safe_load(result.output)
    assert tree["base_model"] == "intfloat/multilingual-e5-base"
    assert tree["training"]["epochs"] == 3
    assert tree["training"]["batch_size"] == 512
    assert tree["filter"]["thresholds"] == "absolute"
    assert tree["merge"]["weights"] == [0.5]


def test_recipe_armenian_runs_with_local_stand_ins(tmp_path, tiny_model_with_prompts):
    """The recipe's own code path, from a local encoder and a file instead of the hub and the server."""
    rows = toy.toy_seeds(60)
    pairs = toy.write_jsonl(tmp_path / "pairs.jsonl", toy.translated(rows))
    seeds = [{"title": row["query"], "body": row["passage"]} for row in rows]
    result = invoke(
        "adapt", "--recipe", "armenian", "--seeds", toy.write_jsonl(tmp_path / "s.jsonl", seeds),
        "--base-model", tiny_model_with_prompts, "--translator", f"file:{pairs}", "--quiet",
        "--output", tmp_path / "run",
        # the toy language is no Armenian, nor does the tiny encoder share multilingual-E5's scale
        "--set", "filter.thresholds=none", "--set", "filter.script_share=0", "--set", "gate=null",
        "--set", "training.batch_size=16",
        "--set", "training.mini_batch_size=8", "--set", "training.epochs=1",
    )  # fmt: skip
    assert result.exit_code in {0, 3}, result.output
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["merge"]["chosen"] == 0.5


def test_estimate_prints_every_stage(tmp_path, seeds, tiny_model):
    result = adapt(tmp_path, seeds, tiny_model, "--estimate", "--control")
    assert result.exit_code == 0, result.output
    for stage in ("translate", "filter", "train", "merge", "control", "evaluate", "total"):
        assert stage in result.output
    assert not (tmp_path / "run").exists()


def test_stages_one_by_one(tmp_path, tiny_model):
    rows = toy.toy_seeds(120)
    seeds = toy.write_jsonl(tmp_path / "seeds.jsonl", rows)
    source = toy.write_jsonl(tmp_path / "made.jsonl", toy.translated(rows))
    test = toy.write_test_set(tmp_path / "test", toy.translated(toy.toy_seeds(30, seed=5)))
    pairs, filtered, adapted, merged = (tmp_path / n for n in ("pairs.jsonl", "filtered", "adapted", "merged"))
    for arguments in (
        ("translate", "--seeds", seeds, "--translator", f"file:{source}", "--output", pairs),
        ("filter", "--pairs", pairs, "--scorer", tiny_model, "--output", filtered),
        ("train", "--pairs", filtered / "kept.jsonl", "--base-model", tiny_model, "--output", adapted),
        ("evaluate", "--test-set", test, "--base-model", tiny_model, "--model", adapted, "--output", tmp_path / "out"),
    ):
        result = invoke(arguments[0], "--language", "epo", "--quiet", *arguments[1:])
        assert result.exit_code == 0, result.output
    result = invoke(
        "merge", "--language", "epo", "--pairs", filtered / "kept.jsonl", "--base-model", tiny_model,
        "--adapted", adapted, "--output", merged, "--set", "merge.english_drop=1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (merged / "model.safetensors").exists()
    assert (tmp_path / "out" / "report.html").exists()
    names = [s["name"] for s in json.loads((tmp_path / "out" / "metrics.json").read_text())["test_sets"][0]["systems"]]
    assert names == ["BM25", "base", str(adapted), "hybrid"]


def test_installed_command_answers_version():
    done = subprocess.run(
        [sys.executable, "-m", "haystack_lrl.cli", "--version"],
        capture_output=True,
        text=True,
        env=os.environ,
        check=True,
    )
    assert done.stdout.startswith("haystack-lrl, version ")


@pytest.fixture
def passages(tmp_path):
    return toy.write_jsonl(tmp_path / "passages.jsonl", [{"_id": "1", "text": "La domo staras apud la rivero."}])


def chat_of(tmp_path, answer):
    path = tmp_path / "generator.yaml"
    path.write_text(yaml.safe_dump(MockChatGenerator(answer).to_dict()))
    return path


def test_ask_writes_pairs_that_train_reads(tmp_path, passages):
    chat = chat_of(tmp_path, '{"summary": "s", "query": "Kie staras la granda domo?"}')
    common = ("ask", "--language", "epo", "--passages", passages, "--generator", chat, "--quiet")
    result = invoke(*common, "--style", "question=2", "--style", "title", "--output", tmp_path / "asked.jsonl")
    assert json.loads(result.output.splitlines()[-1]) == {"rows": 1, "kept": 1, "rejected": {}}
    row = json.loads((tmp_path / "asked.jsonl").read_text())
    assert (row["query"], row["passage"]) == ("Kie staras la granda domo?", "La domo staras apud la rivero.")
    assert "rows per minute" in invoke(*common, "--estimate").output


def test_ask_takes_its_settings_from_a_recipe(tmp_path, passages):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("ask: {strategy: plain, styles: {title: 1}, exemplars: 0}\n")
    chat = chat_of(tmp_path, '{"query": "Domo apud rivero"}')
    invoke("ask", "--language", "epo", "--passages", passages, "--generator", chat, "--quiet", "--recipe", recipe,
           "--output", tmp_path / "asked.jsonl")  # fmt: skip
    assert json.loads((tmp_path / "asked.jsonl").read_text())["source"] == "ask: title"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--language", "xxq"], ["xxq"]),
        (["--passages", "nowhere.jsonl"], ["nowhere.jsonl is not a file"]),
        (["--passage-column", "body"], ["line 1", "body"]),
        (["--generator", "nowhere"], ["nowhere is not there"]),
        (["--exemplars", "9"], ["exemplars is 9"]),
        (["--style", "sonnet=1"], ["sonnet", "question"]),
        (["--prompts", "nowhere"], ["nowhere is not a folder"]),
        (["--recipe", "nowhere"], ["nowhere"]),
    ],
)
def test_ask_says_what_is_wrong(tmp_path, passages, arguments, parts):
    chat = chat_of(tmp_path, '{"query": "q"}')
    base = ["--language", "epo", "--passages", passages, "--generator", chat, "--output", tmp_path / "o.jsonl"]
    assert_refused(invoke("ask", *base, *arguments), *parts)


def test_triplets_wants_its_models_named_once(tmp_path, passages):
    chat = chat_of(tmp_path, '{"positive": "p", "negative": "n"}')
    base = ["triplets", "--language", "epo", "--anchors", passages, "--output", tmp_path / "t.jsonl", "--quiet"]
    for models in ([], ["--generator", chat, "--adapters", tmp_path], ["--positive", chat]):
        assert "Name the models once" in invoke(*base, *models).output
    both = ["--positive", chat, "--negative", chat, "--strategy", "composed", "--no-gate"]
    assert json.loads(invoke(*base, *both).output.splitlines()[-1])["rows"] == 1
    assert "icl asks one model" in invoke(*base, "--positive", chat, "--negative", chat).output
