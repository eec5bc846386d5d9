import json
import re
import subprocess
import sys

import pytest
import toy
from click.testing import CliRunner
from haystack import Document

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
from haystack_lrl.cli.search import search_command
from haystack_lrl.evaluation.run_file import read_run, write_run
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.records.errors import InputError
from pipelines.stores import Place, open_store, save_store

TEXTS = {
    "bees": ("La abeloj sekigas la nektaron per siaj flugiloj.", "epo", 2019),
    "rain": ("Tegmento el plasto protektas tomatojn kontraŭ pluvo.", "epo", 2020),
    "train": ("La trajno venas je la sesa.", "epo", 2021),
    "english": ("Bees dry the nectar: abeloj, in Esperanto.", "eng", 2019),
}


@pytest.fixture(scope="module")
def place(tiny_model, tmp_path_factory):
    made = Place("memory", "epo", tiny_model, str(tmp_path_factory.mktemp("search") / "index"))
    store = open_store(made, create=True)
    rows = [
        Document(id=name, content=text, meta={"title": name.title(), "language": code, "year": year})
        for name, (text, code, year) in TEXTS.items()
    ]
    store.write_documents(LRLDocumentEmbedder(str(tiny_model), progress_bar=False).run(rows)["documents"])
    save_store(made, store)
    return made


def invoke(place, *arguments):
    given = ["--language", "epo", "--model", place.model, "--index", place.index, *arguments]
    return CliRunner().invoke(search_command, [str(argument) for argument in given])


def found(place, *arguments):
    result = invoke(place, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [row["id"] for row in json.loads(result.stdout)["documents"]]


def test_the_best_documents_are_printed_with_rank_score_title_and_snippet(place):
    result = invoke(place, "abeloj kaj nektaro", "--mode", "bm25")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert re.match(r"  1  \d\.\d{3}  Bees$", lines[0])
    assert lines[1].strip() == TEXTS["bees"][0]
    assert invoke(place, "xyzzy", "--mode", "bm25").output == "Nothing was found.\n"


def test_json_holds_query_and_documents(place):
    answer = json.loads(invoke(place, " trajno ", "--json").stdout)
    assert answer["query"] == " trajno "
    assert [row["rank"] for row in answer["documents"]] == [1, 2, 3, 4]
    best = next(row for row in answer["documents"] if row["id"] == "train")
    assert best["content"] == TEXTS["train"][0]
    assert best["meta"]["language"] == "epo"
    assert all(0 <= row["score"] <= 1 for row in answer["documents"])


def test_the_ways_to_rank(place):
    assert found(place, "abeloj", "--mode", "bm25") == ["english", "bees"]  # the shorter text first
    assert len(found(place, "abeloj", "--mode", "dense")) == 4
    assert found(place, "abeloj", "--dense-weight", "0")[0] == "english"
    assert len(found(place, "abeloj", "--fusion", "reciprocal-rank", "--top-k", "3")) == 3


def test_filters_are_fields_or_json(place):
    assert found(place, "abeloj", "--filter", "meta.language=eng") == ["english"]
    assert found(place, "abeloj", "--filter", "meta.language=epo", "--filter", "meta.year=2019") == ["bees"]
    after = '{"field": "meta.year", "operator": ">", "value": 2020}'
    assert found(place, "abeloj", "--filter", after) == ["train"]
    assert found(place, "abeloj", "--filter", 'meta.year="2019"') == []  # a text is not a number


def test_a_file_of_queries_becomes_a_trec_run(place, tmp_path):
    queries = {"q1": "abeloj kaj nektaro", "q2": "protekti tomatojn", "q3": "AND ( title:*"}
    path = toy.write_jsonl(tmp_path / "queries.jsonl", [{"_id": name, "text": text} for name, text in queries.items()])
    result = invoke(place, "--queries", path, "--run", tmp_path / "run.trec", "--mode", "bm25", "--top-k", "1")
    assert result.exit_code == 0, result.output
    assert "3 queries, of which 2 found something" in result.output
    test_set = TestSet("news", "epo", queries, dict.fromkeys(TEXTS, ""), {})
    run = read_run(tmp_path / "run.trec", test_set)
    assert {name: list(scores) for name, scores in run.items()} == {"q1": ["bees"], "q2": ["rain"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Give one QUERY, or a file"),
        (["abeloj", "--queries", "queries.jsonl"], "Give one QUERY, or a file"),
        (["--queries", "queries.jsonl"], "--queries and --run go together"),
        (["abeloj", "--run", "run.trec"], "--queries and --run go together"),
        (["abeloj", "--filter", "language"], "is not FIELD=VALUE"),
        (["abeloj", "--filter", "{x"], "is not valid JSON"),
        (["abeloj", "--top-k", "0"], "--top-k"),
        (["abeloj", "--dense-weight", "2"], "--dense-weight"),
    ],
)
def test_options_that_do_not_go_together_are_refused(place, arguments, says):
    result = invoke(place, *arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_what_cannot_be_searched_is_one_sentence(place, tmp_path, tiny_model_with_prompts):
    for arguments, says in (
        (["  "], "The query is empty"),
        (["abeloj", "--filter", '{"field": "x"}'], "have no operator"),
        (["abeloj", "--model", tiny_model_with_prompts], "is of the model"),
        (["abeloj", "--index", tmp_path / "none"], "There is no index in"),
    ):
        error = invoke(place, *arguments).exception
        assert isinstance(error, InputError)
        assert says in str(error)
    path = toy.write_jsonl(tmp_path / "queries.jsonl", [{"_id": "q1", "text": " "}])
    error = invoke(place, "--queries", path, "--run", tmp_path / "run.trec").exception
    assert isinstance(error, InputError)
    assert "has an empty text for 'q1'" in str(error)
    assert not (tmp_path / "run.trec").exists()


def test_an_id_that_a_run_cannot_hold_is_refused_and_no_file_is_left(tmp_path):
    with pytest.raises(InputError, match="'a b' has a blank"):
        write_run(tmp_path / "run.trec", {"q1": {"d1": 1.0, "a b": 0.5}})
    assert list(tmp_path.iterdir()) == []


def test_help_loads_no_heavy_library():
    heavy = "{'torch', 'haystack', 'numpy', 'pipelines'}"
    code = f"import sys, haystack_lrl.cli.search\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
