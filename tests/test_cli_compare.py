"""The whole of `compare` on tiny models: every output, and what a user sees who gives something wrong."""

import csv
import json
import shutil

import numpy as np
import pytest
import toy
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from haystack_lrl.cli.compare import compare_command
from haystack_lrl.cli.evaluate import evaluate_command
from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.metrics import measure
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.evaluation.statistics import paired
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.records.errors import InputError

EVIL = "<script>alert('x')</script>"
METRICS = ("--metric", "nDCG@10", "--metric", "Success@1", "--metric", "AP", "--metric", "P@5")


def compare(*arguments):
    wanted = ["--language", "epo", "--quiet", *map(str, arguments)]
    return CliRunner().invoke(compare_command, wanted, catch_exceptions=False)


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    """Three models that differ in their random weights."""
    folder = tmp_path_factory.mktemp("seeds")
    return [tiny_model, *(toy.build_tiny_model(folder / f"seed-{seed}", seed=seed) for seed in (1, 2))]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A test set with a hostile query and document, one of another language, and a run over the first."""
    folder = tmp_path_factory.mktemp("sets")
    rows = toy.toy_seeds(24, seed=5)
    rows[0] = {**rows[0], "query": f"{EVIL} {rows[0]['query']}", "passage": f"{EVIL} {rows[0]['passage']}"}
    toy.write_test_set(folder / "judge", rows)
    toy.write_test_set(folder / "english", toy.toy_seeds(12, seed=6))
    lines = [f"q{n} Q0 d{n} 1 1.0 other\nq{n} Q0 d{(n + 1) % 24} 2 0.5 other\n" for n in range(20)]
    (folder / "other.trec").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def compared(places, models, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "compared"
    run = tmp_path_factory.mktemp("run")
    curve = [{"pairs": pairs, "mean": 0.5, "low": 0.4, "high": 0.6} for pairs in (10, 100)]
    rows = {"filter": {"rows": 3, "kept": 2, "rejected": {"wrong language": 1}}}
    (run / "metrics.json").write_text(json.dumps({"curve": curve, "rows": rows, "verdict": {"deploy": "x"}}))
    result = compare(
        "--test-set", f"beir:{places / 'judge'}", "--system", f"base={models[0]}", "--system", f"control={models[2]}",
        "--seeds", f"adapted={models[1]},{models[2]}", "--system", "bm25", "--run", f"other={places / 'other.trec'}",
        "--retention", f"eng={places / 'english'}", "--run-directory", run, *METRICS, "--output", output,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return output, result.output, json.loads((output / "comparison.json").read_text())


def test_every_system_stands_in_the_table_with_its_statistics(compared, places, models):
    _, _, tree = compared
    first, second = tree["test_sets"]
    assert [row["name"] for row in first["systems"]] == ["BM25", "base", "control", "adapted", "other", "hybrid"]
    assert [row["name"] for row in second["systems"]] == ["BM25", "base", "control", "adapted", "hybrid"]
    assert (first["role"], second["role"], second["language"]) == ("test", "retention", "eng")
    assert tree["metrics"] == ["nDCG@10", "Success@1", "AP", "P@5"]
    assert len(tree["pairs"]) == 15
    rows = {row["name"]: row for row in first["systems"]}
    assert rows["other"]["metrics"]["Success@1"]["mean"] == pytest.approx(20 / 24)  # four queries are missing
    assert rows["other"]["difference"]["holm"] >= rows["other"]["difference"]["p"]
    assert all(row["letters"] for row in first["systems"])
    test_set = load_test_set(places / "judge", "epo")
    own = [measure(test_set, dense_run(test_set, SentenceEncoder.from_path(model)).run)["nDCG@10"] for model in models]
    seeds = rows["adapted"]["seeds"]
    assert seeds["means"] == pytest.approx([values.mean() for values in own[1:]])
    assert seeds["spread"] == pytest.approx(np.std(seeds["means"], ddof=1))
    difference = paired((own[1] + own[2]) / 2, own[0])
    assert rows["adapted"]["difference"]["mean"] == pytest.approx(difference.mean)
    assert rows["adapted"]["difference"]["p"] == pytest.approx(difference.p)


def test_the_verdict_is_one_sentence_that_names_the_control(compared):
    _, output, tree = compared
    said = tree["verdict"]["sentence"]
    assert said in output
    assert said.startswith(f"Deploy {tree['verdict']['deploy']} (nDCG@10 0.")
    assert "untranslated pairs" in said
    assert said.count(". ") == 0
    assert tree["verdict"]["deploy"] != "control"


def test_queries_are_told_with_both_rankings_and_by_kind(compared):
    output, _, tree = compared
    queries = [json.loads(line) for line in (output / "queries.jsonl").read_text().splitlines()]
    assert len(queries) == 24
    for row in tree["per_query"]:
        values = [(q["metrics"]["base"]["nDCG@10"], q["metrics"][row["system"]]["nDCG@10"]) for q in queries]
        assert (row["won"], row["lost"]) == (sum(a < b for a, b in values), sum(a > b for a, b in values))
        assert row["won"] + row["lost"] + row["tied"] == 24 == sum(count for _, _, count in row["points"])
        assert set(row["breakdown"]) == {"length", "overlap", "unknown"}
        for parts in row["breakdown"].values():
            assert sum(part["queries"] for part in parts) == 24
        for change in (*row["improved"], *row["harmed"]):
            assert all(len(ranking) <= 10 for ranking in change["rankings"].values())
            assert set(change["rankings"]) == {"base", row["system"]}
    other = next(row for row in tree["per_query"] if row["system"] == "other")
    gains = [query["metrics"]["other"]["nDCG@10"] - query["metrics"]["base"]["nDCG@10"] for query in queries]
    assert other["improved"][0]["id"] == queries[int(np.argmax(gains))]["id"]
    assert other["improved"][0]["rankings"]["other"][0]["grade"] == 1


def test_cosines_and_curves_are_on_the_page_and_nothing_is_markup(compared):
    output, _, tree = compared
    html = (output / "comparison.html").read_text()
    assert set(tree["similarities"]) == {"base", "control", "adapted"}
    for row in tree["similarities"].values():
        assert sum(row["positives"]) == pytest.approx(1) == pytest.approx(sum(row["negatives"]))
        assert 0 <= row["chance"] <= 1
    for words in ("Every pair", "How far relevant documents stand apart", "Query by query", "How much data is enough"):
        assert words in html
    assert "What became of each row" in html
    assert tree["verdict"]["deploy"] != "x"  # the run's own verdict is not this table's
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    for reference in ("http:", "https:", "src=", "href=", "url(", "@import"):
        assert reference not in html


def test_the_same_figures_stand_in_every_form(compared):
    output, _, tree = compared
    with (output / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    flat = [system for test_set in tree["test_sets"] for system in test_set["systems"]]
    assert [float(row["nDCG@10"]) for row in rows] == [row["metrics"]["nDCG@10"]["mean"] for row in flat]
    markdown, latex = ((output / f"comparison.{ending}").read_text() for ending in ("md", "tex"))
    for row in flat:
        figure = f"{row['metrics']['nDCG@10']['mean']:.3f}"
        assert f"| {figure} [" in markdown
        assert f"{figure}$^{{" in latex
    assert latex.count("\\toprule") == 2
    assert "\\%" in latex


def test_a_hub_of_names_in_latex_is_escaped():
    from haystack_lrl.evaluation.formats import latex_table, markdown_table

    interval = {"mean": 0.5, "low": 0.4, "high": 0.6}
    system = {"name": "a_b & 50%|<b>", "metrics": {"AP": interval}, "letters": "a", "difference": None}
    test_set = {"name": "x#1", "role": "test", "queries": 3, "systems": [system], "smallest_gain": None}
    tree = {"metrics": ["AP"], "reference": "b", "verdict": {"deploy": "", "sentence": "S."}, "test_sets": [test_set]}
    assert r"a\_b \& 50\%|\textless{}b\textgreater{} & 0.500$^{a}$ [0.400, 0.600]" in latex_table(tree)
    assert "x\\#1, 3 queries." in latex_table(tree)
    assert r"| a\_b &amp; 50%\|&lt;b&gt; | a |" in markdown_table(tree)


def test_one_query_has_no_interval_and_says_so(tmp_path, models):
    toy.write_test_set(tmp_path / "one", toy.toy_seeds(1))
    result = compare(
        "--test-set", tmp_path / "one", "--system", f"base={models[0]}", "--system", f"adapted={models[1]}",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    tree = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert all(row["metrics"]["nDCG@10"]["low"] is None for row in tree["test_sets"][0]["systems"])
    assert {row["letters"] for row in tree["test_sets"][0]["systems"]} == {"a"}
    assert "One query: nobody can say how much it varies" in tree["warnings"][0]
    assert "One query has no interval" in (tmp_path / "out" / "comparison.html").read_text()


def test_a_run_with_unknown_ids_is_refused_with_its_line(tmp_path, places, models):
    (tmp_path / "bad.trec").write_text("q1 Q0 d1 1 0.5 x\nq1 Q0 d999 2 0.4 x\n")
    with pytest.raises(InputError, match=r"bad\.trec line 2 ranks the document 'd999', which judge does not hold"):
        compare(
            "--test-set", places / "judge", "--run", f"x={tmp_path / 'bad.trec'}", "--system", f"base={models[0]}",
            "--output", tmp_path / "out",
        )  # fmt: skip


def test_training_texts_in_the_test_set_are_refused_before_a_model_is_loaded(tmp_path, places, models):
    pairs = toy.write_jsonl(tmp_path / "kept.jsonl", toy.toy_seeds(24, seed=5))
    (tmp_path / "metrics.json").write_text("{}")
    for given in (("--training", pairs), ("--run-directory", tmp_path)):
        with pytest.raises(InputError, match="judge has 24 of its 24 queries in the training data"):
            compare(
                "--test-set", places / "judge", "--system", "base=no/such", *given, "--output", tmp_path / "out"
            )  # fmt: skip
    result = compare(
        "--test-set", places / "judge", "--system", f"base={models[0]}", "--training", pairs, "--allow-leaks",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    warnings = json.loads((tmp_path / "out" / "comparison.json").read_text())["warnings"]
    assert warnings[0].startswith("judge has 24 queries in the training data")


def test_the_sets_that_a_recipe_names_are_measured_without_being_asked_for(tmp_path, places, models):
    recipe = {"evaluation": {"retention": {"eng": str(places / "english")}}}
    (tmp_path / "metrics.json").write_text(json.dumps({"recipe": recipe}))
    result = compare(
        "--test-set", places / "judge", "--system", f"base={models[0]}", "--system", f"adapted={models[1]}",
        "--run-directory", tmp_path, "--output", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    tree = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (row,) = tree["forgetting"]
    assert (row["language"], row["test_set"], row["system"]) == ("English", "english", "adapted")
    assert row["difference"]["mean"] == pytest.approx(row["after"] - row["before"])


def test_weights_that_are_not_numbers_are_refused(tmp_path, places, models):
    broken = shutil.copytree(models[0], tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["embeddings.LayerNorm.weight"][:] = np.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"broken gave query 1 of 24, and 23 more, a vector with nan or infinity"):
        compare("--test-set", places / "judge", "--system", f"base={broken}", "--output", tmp_path / "out")
    with pytest.raises(InputError, match="a vector with nan or infinity"):
        dense_run(load_test_set(places / "judge", "epo"), SentenceEncoder.from_path(broken))


def test_a_model_whose_dimension_changed_is_refused(tmp_path, compared, places, models):
    earlier = tmp_path / "out"
    earlier.mkdir()
    (earlier / "comparison.json").write_text(json.dumps({"dimensions": {"base": 384, "gone": 3}}))
    with pytest.raises(InputError, match=r"comparison\.json measured base with 384 dimensions, but it now has 32"):
        compare("--test-set", places / "english", "--system", f"base={models[0]}", "--output", earlier)
    (earlier / "comparison.json").write_text("[]")
    with pytest.raises(InputError, match=r"comparison\.json is not a comparison"):
        compare("--test-set", places / "english", "--system", f"base={models[0]}", "--output", earlier)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--metric", "nDGC@10"), "'nDGC@10' is not a metric of ir-measures"),
        (("--reference", "x"), "--reference 'x' is none of the systems base, BM25"),
        (("--run-directory", "nowhere"), r"nowhere/metrics\.json is missing"),
        (("--retention", "eng"), "'eng' is not NAME=PATH"),
        (("--run", "x=nowhere.trec"), "nowhere.trec is not a file"),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_loaded(tmp_path, places, given, said):
    with pytest.raises(InputError, match=said):
        compare("--test-set", places / "judge", "--system", "base=no/such", *given, "--output", tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("qrels/test.tsv", "q1\td999\t1", r"test\.tsv line 26 names the document 'd999', which corpus\.jsonl does not"),
        ("corpus.jsonl", '{"_id": "d1", "text": "again"}', r"corpus\.jsonl line 25 repeats the _id 'd1'"),
        ("corpus.jsonl", None, r"corpus\.jsonl is empty"),
        ("qrels/test.tsv", None, r"test\.tsv gives no query a relevant document"),
    ],
)
def test_damaged_test_sets_are_refused_with_their_line(tmp_path, places, file, line, said):
    folder = shutil.copytree(places / "judge", tmp_path / "damaged")
    with (folder / file).open("a" if line else "w") as opened:
        opened.write(f"{line}\n" if line else "")
    with pytest.raises(InputError, match=said):
        compare("--test-set", folder, "--system", "base=no/such", "--output", tmp_path / "out")


def test_evaluate_takes_a_benchmark_as_test_set(places, models):
    arguments = ["--language", "epo", "--test-set", f"beir:{places / 'judge'}", "--base-model", str(models[0])]
    result = CliRunner().invoke(evaluate_command, [*arguments, "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "judge: test set" in result.output
