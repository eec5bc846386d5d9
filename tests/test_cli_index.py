import json

import pytest
from click.testing import CliRunner
from toy import WORDS, write_jsonl

from haystack_lrl.cli import store_options
from haystack_lrl.cli.index import index_command
from haystack_lrl.records.errors import InputError
from pipelines.stores import Place, open_store


@pytest.fixture
def corpus(tmp_path):
    rows = [{"_id": f"d{n}", "title": f"T{n}", "text": f"{WORDS[n]} {WORDS[n + 1]}."} for n in range(8)]
    return write_jsonl(tmp_path / "corpus.jsonl", rows)


def run(corpus, model, folder, *more):
    given = [str(corpus), "--language", "eng", "--model", str(model), "--index", str(folder), *more]
    return CliRunner().invoke(index_command, given)


def test_files_become_an_index_and_a_rerun_adds_nothing(corpus, tiny_model, tmp_path):
    done = run(corpus, tiny_model, tmp_path / "index")
    assert done.exit_code == 0, done.output
    (line,) = done.stdout.splitlines()
    counts = json.loads(line)
    assert (counts["read"], counts["written"], counts["existing"], counts["failures"]) == (8, 8, 0, [])
    assert "8 documents" in done.stderr
    store = open_store(Place("memory", "eng", tiny_model, str(tmp_path / "index")))
    assert {d.meta["source_id"] for d in store.filter_documents()} == {f"d{n}" for n in range(8)}
    again = json.loads(run(corpus, tiny_model, tmp_path / "index", "--quiet").stdout)
    assert (again["written"], again["existing"]) == (0, 8)


def test_what_is_left_out_ends_with_an_error_that_names_it(corpus, tiny_model, tmp_path):
    with corpus.open("a", encoding="utf-8") as file:
        file.write('{"_id": "d0", "text": "another"}\n')
    done = run(corpus, tiny_model, tmp_path / "index", "--quiet")
    assert isinstance(done.exception, InputError)
    assert "1 of 9 documents are not in the index, the first is d0" in str(done.exception)
    assert json.loads(done.stdout)["unreadable"] == 1
    assert open_store(Place("memory", "eng", tiny_model, str(tmp_path / "index"))).count_documents() == 8


def test_a_broken_line_leaves_the_old_index(corpus, tiny_model, tmp_path):
    run(corpus, tiny_model, tmp_path / "index")
    with corpus.open("a", encoding="utf-8") as file:
        file.write("not json\n")
    done = run(corpus, tiny_model, tmp_path / "index")
    assert "line 9 is not valid JSON" in str(done.exception)
    assert open_store(Place("memory", "eng", tiny_model, str(tmp_path / "index"))).count_documents() == 8


def test_passages_have_the_length_asked_for(corpus, tiny_model, tmp_path):
    long = write_jsonl(tmp_path / "long.jsonl", [{"_id": "x", "text": f"{' '.join(WORDS[:8])}. " * 6}])
    one = json.loads(run(long, tiny_model, tmp_path / "one", "--quiet").stdout)
    more = json.loads(
        run(long, tiny_model, tmp_path / "more", "--quiet", "--split-length", "20", "--split-overlap", "1").stdout
    )
    assert more["passages"] > one["passages"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--hosts", "http://localhost:9200"], "belong to --store opensearch"),
        (["--alias", "news"], "belongs to --store opensearch"),
        (["--store", "opensearch"], "needs --hosts"),
        (["--split-length", "0"], "x>=1"),
        (["--vectors", "4x"], "belongs to --store opensearch"),
        (["--engine", "ray"], "needs --store opensearch"),
    ],
)
def test_options_that_do_not_go_together(corpus, tiny_model, tmp_path, given, says):
    done = run(corpus, tiny_model, tmp_path / "index", *given)
    assert done.exit_code == 2
    assert says in done.output
    assert not (tmp_path / "index").exists()


def test_a_place_is_what_the_options_say(tiny_model, tmp_path):
    given = {
        "store": "opensearch",
        "language": "epo",
        "model": tiny_model,
        "index": None,
        "hosts": ("http://a:9200", "http://b:9200"),
        "certificates": tmp_path,
    }
    place = store_options.place_of(given)
    assert place == Place("opensearch", "epo", tiny_model, "documents", ("http://a:9200", "http://b:9200"), tmp_path)
    aliased = store_options.place_of({**given, "alias": "news"})
    assert (aliased.index, aliased.through_alias) == ("news", True)
    memory = {**given, "store": "memory", "hosts": (), "certificates": None}
    assert store_options.place_of(memory).index == "index"
