import pytest
import yaml
from toy import toy_seeds, write_jsonl

from haystack_lrl.recipe import build, load_tree
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import file_hash
from haystack_lrl.rundir import RunDirectory


def make_recipe(folder, **changes):
    tree = {
        "language": "epo",
        "seeds": str(folder / "seeds.jsonl"),
        "translator": "command:cat",
        "base_model": str(folder / "base"),
        "training": {"epochs": 2},
    }
    return build({**tree, **changes}, "the recipe")


@pytest.fixture
def recipe(tmp_path):
    write_jsonl(tmp_path / "seeds.jsonl", toy_seeds(3))
    return make_recipe(tmp_path)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "epo"


def test_a_new_run_says_what_it_is_made_of(recipe, folder):
    run = RunDirectory.claim(folder, recipe)
    assert load_tree(str(folder / "recipe.yaml")) == recipe.to_tree()
    manifest = run.manifest()
    assert manifest["seeds_sha256"] == file_hash(folder.parents[1] / "seeds.jsonl")
    assert manifest["stages"] == {}
    assert {"python", "torch", "sentence-transformers"} <= set(manifest["versions"])
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "recipe.yaml"]


def test_a_run_is_gone_on_with(recipe, folder):
    first = RunDirectory.claim(folder, recipe)
    first.stage("filter", "recipe.yaml", lambda: {"rows": 3})
    again = RunDirectory.claim(folder, recipe)
    assert again.manifest() == first.manifest()
    assert again.manifest()["stages"]["filter"]["rows"] == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 14}, r"seed is 13 there and 14 now"),
        ({"translator": "command:tac"}, r"translator is command:cat there and command:tac now"),
        ({"training": {"epochs": 3}}, r"training\.epochs is 2 there and 3 now"),
        ({"prompts": {"query": "q", "passage": "p"}}, r"prompts\.passage is None there and p now"),
        ({"evaluation": {"retention": {"eng": "x"}}}, r"evaluation\.retention\.eng is None there and x now"),
        ({"merge": {"weights": [0.5]}}, r"merge\.weights is \[.*\] there and \[0\.5\] now"),
    ],
)
def test_the_run_of_another_recipe_is_refused_naming_the_setting(recipe, folder, tmp_path, change, said):
    RunDirectory.claim(folder, recipe)
    with pytest.raises(InputError, match=rf"runs/epo holds the run of another recipe \({said}\): use another --output"):
        RunDirectory.claim(folder, make_recipe(tmp_path, **change))


def test_changed_seeds_are_refused(recipe, folder, tmp_path):
    RunDirectory.claim(folder, recipe)
    write_jsonl(tmp_path / "seeds.jsonl", toy_seeds(4))
    with pytest.raises(InputError, match=r"seeds\.jsonl has changed since .*runs/epo was begun: use another --output"):
        RunDirectory.claim(folder, recipe)


@pytest.mark.parametrize("name", ["metrics.json", "model/model.safetensors", "notes.txt"])
def test_a_folder_that_holds_other_things_is_refused_and_left_alone(recipe, folder, name):
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"runs/epo holds something that is not a run with a recipe\.yaml"):
        RunDirectory.claim(folder, recipe)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [name.rpartition("/")[2]]


def test_a_file_is_no_run(recipe, folder):
    folder.parent.mkdir()
    folder.touch()
    with pytest.raises(InputError, match="holds something that is not a run"):
        RunDirectory.claim(folder, recipe)


def test_an_empty_folder_is_taken_whatever_the_system_hides_in_it(recipe, folder):
    folder.mkdir(parents=True)
    (folder / ".hidden").touch()
    assert RunDirectory.claim(folder, recipe).manifest()["stages"] == {}


def test_a_stage_is_done_once(recipe, folder):
    run, calls = RunDirectory.claim(folder, recipe), []

    def work():
        calls.append("filter")
        run.path("kept.jsonl").touch()
        return {"rows": len(calls)}

    for _ in range(2):
        run.stage("filter", "kept.jsonl", work)
    RunDirectory.claim(folder, recipe).stage("filter", "kept.jsonl", work)
    assert calls == ["filter"]
    assert run.manifest()["stages"]["filter"]["rows"] == 1
    assert run.manifest()["stages"]["filter"]["seconds"] >= 0
    run.path("kept.jsonl").unlink()
    run.stage("filter", "kept.jsonl", work)
    assert run.manifest()["stages"]["filter"]["rows"] == 2


def test_a_stage_that_died_before_the_manifest_knew_is_done_again(recipe, folder):
    run = RunDirectory.claim(folder, recipe)
    run.path("kept.jsonl").touch()
    run.stage("filter", "kept.jsonl", lambda: {"rows": 5})
    assert run.manifest()["stages"]["filter"]["rows"] == 5


def test_a_stage_that_fails_is_not_in_the_manifest(recipe, folder):
    run = RunDirectory.claim(folder, recipe)

    def fail():
        raise InputError("no pairs")

    with pytest.raises(InputError, match="no pairs"):
        run.stage("filter", "kept.jsonl", fail)
    assert run.manifest()["stages"] == {}


def test_the_manifest_tells_one_base_model_from_another(recipe, folder, tmp_path):
    base = tmp_path / "base"
    assert RunDirectory.claim(folder, recipe).manifest()["base_model"]["fingerprint"] is None
    base.mkdir()
    prints = []
    for number, weights in enumerate(("a", "b")):
        (base / "model.safetensors").write_text(weights, encoding="utf-8")
        run = RunDirectory.claim(tmp_path / f"run{number}", recipe)
        prints.append(run.manifest()["base_model"]["fingerprint"])
    assert prints[0] != prints[1]
    assert yaml.safe_load((tmp_path / "run0" / "recipe.yaml").read_text(encoding="utf-8"))["base_model"] == str(base)
