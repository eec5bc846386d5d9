import dataclasses

import pytest
import yaml

from haystack_lrl.recipe import Recipe, build, load_tree, set_values
from haystack_lrl.records.errors import InputError

NEEDED = {"language": "epo", "seeds": "seeds.jsonl", "translator": "command:cat", "base_model": "./model"}


def changed(name, value):
    """Return the needed settings with one more, written as in YAML."""
    return build(set_values(NEEDED, [f"{name}={value}"]), "the recipe")


def test_defaults_fill_what_is_not_given():
    recipe = build(NEEDED, "the recipe")
    assert (recipe.language, recipe.base_model, recipe.prompts) == ("epo", "./model", None)
    assert recipe == Recipe(**NEEDED)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lnguage", r"the recipe has the setting lnguage, which does not exist: did you mean language\?"),
        ("training.epoch", r"setting training\.epoch, which does not exist: did you mean training\.epochs\?"),
        ("filter.query_drfit", r"did you mean filter\.query_drift\?"),
        ("evaluation.testsets", r"did you mean evaluation\.test_sets\?"),
        ("epochs", r"setting epochs, which does not exist: known are language, seeds, translator"),
        ("mining.zzz", r"setting mining\.zzz, which does not exist: known are negatives, margin, depth"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_the_near_one(name, said):
    with pytest.raises(InputError, match=said):
        changed(name, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("training.epochs", "many"),
        ("training.epochs", "1.5"),
        ("training.path", "slow"),
        ("training", "5"),
        ("control", "perhaps"),
        ("filter.thresholds", "some"),
        ("merge.weights", "half"),
        ("prompts", "[a, b]"),
        ("seed", ""),
        ("evaluation.retention", "[eng]"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(name, value):
    with pytest.raises(InputError, match=rf"the recipe cannot be used: .* for {name}\S* = .*correct the setting"):
        changed(name, value)


@pytest.mark.parametrize("name", NEEDED)
def test_a_needed_setting_that_is_missing_is_named(name):
    tree = {key: value for key, value in NEEDED.items() if key != name}
    with pytest.raises(InputError, match=f"the recipe does not give {name}, which has no default: add it"):
        build(tree, "the recipe")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("training.epochs", 0, r"training\.epochs is 0, but must be above 0"),
        ("training.learning_rate", -1, r"training\.learning_rate is -1"),
        ("training.batch_size", 1, r"training\.batch_size is 1, but in-batch negatives need at least 2"),
        ("merge.weights", [], r"merge\.weights is \[\]"),
        ("merge.weights", [0.5, 1.5], r"merge\.weights is \[0\.5, 1\.5\]"),
        ("filter.query_drift", 101, r"filter\.query_drift is 101.*percentile means 0 to 100"),
        ("filter.length_ratio", 0.5, r"filter\.length_ratio is 0\.5"),
        ("mining.negatives", -1, r"mining\.negatives is -1"),
        ("evaluation.dev", 0, r"evaluation\.dev is 0"),
        ("evaluation.held_out", 0, r"evaluation\.held_out is 0, but must be above 0 without evaluation\.test_sets"),
        ("evaluation.curve", [100, 1], r"evaluation\.curve is \[100, 1\]"),
        ("prompts", {"query": "q"}, r"prompts has the keys \['query'\], but must have query and passage"),
        ("language", "xxx", "xxx"),
    ],
)
def test_a_value_out_of_range_is_named(name, value, said):
    with pytest.raises(InputError, match=rf"the recipe cannot be used: .*{said}"):
        changed(name, yaml.safe_dump(value, default_flow_style=True))


def test_pairs_need_not_be_held_out_where_there_is_a_test_set():
    tree = {**NEEDED, "evaluation": {"held_out": 0, "test_sets": ["folder"]}}
    assert build(tree, "the recipe").evaluation.test_sets == ("folder",)


def test_settings_are_set_as_yaml_values():
    recipe = build(
        set_values(
            {**NEEDED, "training": {"epochs": 2}, "filter": None},
            [
                "training.epochs=3",
                "training.learning_rate=5e-5",
                "merge.weights=[0.4, 0.6]",
                "control=true",
                "filter.thresholds=none",
                'prompts={query: "q: ", passage: ""}',
                "evaluation.retention.eng=data/english",
                "translator=command:sh -c 'a=b'",
            ],
        ),
        "the command line",
    )
    assert (recipe.training.epochs, recipe.training.learning_rate) == (3, 5e-5)
    assert recipe.merge.weights == (0.4, 0.6)
    assert recipe.control is True
    assert recipe.filter.thresholds == "none"
    assert recipe.prompts == {"query": "q: ", "passage": ""}
    assert recipe.evaluation.retention == {"eng": "data/english"}
    assert recipe.translator == "command:sh -c 'a=b'"


def test_setting_values_leaves_the_tree_alone():
    tree = {"evaluation": {"retention": {"eng": "a"}}}
    assert set_values(tree, ["evaluation.retention.deu=b"])["evaluation"]["retention"] == {"eng": "a", "deu": "b"}
    assert tree == {"evaluation": {"retention": {"eng": "a"}}}


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("training.epochs", "has no '=': write it as training.epochs=3"),
        ("language.code=hye", "language is 'epo', which holds no settings"),
        ("prompts={query", "gives no valid YAML"),
    ],
)
def test_an_assignment_that_cannot_be_read_is_named(assignment, said):
    with pytest.raises(InputError, match=f"--set .*{said}"):
        set_values(NEEDED, [assignment])


@pytest.mark.parametrize(("name", "language"), [("armenian", "hye"), ("georgian", "kat")])
def test_the_shipped_recipes_have_the_papers_settings(name, language):
    recipe = build({**load_tree(name), "seeds": "seeds.jsonl"}, name)
    assert (recipe.language, recipe.base_model) == (language, "intfloat/multilingual-e5-base")
    assert recipe.prompts == {"query": "query: ", "passage": "passage: "}
    assert (recipe.query_column, recipe.passage_column) == ("title", "body")
    drift = recipe.filter
    assert (drift.thresholds, drift.semantic_drift, drift.query_drift, drift.passage_drift) == (
        "absolute",
        0.05,
        0.85,
        0.85,
    )
    training = recipe.training
    assert (training.epochs, training.learning_rate, training.warmup) == (5, 7e-5, 0.2)
    assert (training.batch_size, training.max_length) == (512, 512)
    assert recipe.merge.weights == (0.5,)
    assert recipe.translator.startswith("chat:")
    assert recipe.translator.endswith("google/gemma-2-27b-it")


def test_the_quickstarts_recipe_loads():
    recipe = build({**NEEDED, **load_tree("_quickstart")}, "_quickstart")
    assert recipe.language == "epo"


@pytest.mark.parametrize(
    "tree",
    [
        NEEDED,
        {**load_tree("armenian"), "seeds": "ĝardeno.jsonl"},
        {**NEEDED, "evaluation": {"test_sets": ["a", "b"], "retention": {"eng": "c"}, "curve": [100, 200]}},
    ],
)
def test_a_recipe_survives_yaml(tmp_path, tree):
    recipe = build(tree, "the recipe")
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert build(load_tree(str(path)), "the file") == recipe
    assert set(yaml.safe_load(recipe.to_yaml())) == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize(
    ("text", "said"), [("[a, b]", "holds a list"), ("", "holds a NoneType"), ("a: [b", "is not valid YAML")]
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text, said):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"recipe\.yaml {said}"):
        load_tree(str(path))


def test_a_recipe_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InputError, match=r"armenia is neither a recipe that ships .*\(armenian, georgian\) nor a file"):
        load_tree("armenia")
