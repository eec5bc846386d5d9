"""`haystack-lrl ask-rag`, with a stub server as the chat model."""

import json

import pytest
from chat_server import ChatServer
from click.testing import CliRunner
from haystack import Document

from haystack_integrations.components.embedders.lrl import LRLDocumentEmbedder
from haystack_lrl.cli import main
from haystack_lrl.cli.rag import ask_rag_command
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.cited_answers import NOT_IN_DOCUMENTS
from pipelines.stores import Place, open_store, save_store

TEXTS = ("Abeloj sekigas la nektaron per siaj flugiloj.", "La vulkano estas plata pro rapida lafo.", "Birdoj kantas.")
ANSWER = "Ili sekigas la nektaron per siaj flugiloj [1][9]."


@pytest.fixture(scope="module")
def index(tiny_model, tmp_path_factory):
    place = Place("memory", "epo", tiny_model, str(tmp_path_factory.mktemp("rag") / "index"))
    store = open_store(place, create=True)
    documents = [Document(id=f"d{n}", content=text, meta={"title": f"Titolo {n}"}) for n, text in enumerate(TEXTS)]
    store.write_documents(LRLDocumentEmbedder(str(tiny_model), progress_bar=False).run(documents)["documents"])
    save_store(place, store)
    return place


def ask(index, url, *more, question="Kiel abeloj sekigas nektaron?", command=ask_rag_command):
    given = ["--language", "epo", "--model", str(index.model), "--index", index.index, "--generator", url, *more]
    return CliRunner().invoke(command, [question, *given], standalone_mode=False, catch_exceptions=True)


def test_the_answer_and_its_numbered_sources_are_printed(index):
    server = ChatServer(lambda request: ANSWER, [{"id": "m"}])
    with server.running_at() as url:
        done = ask(index, url, "--top-k", "2")
    assert done.exception is None
    lines = done.stdout.splitlines()
    assert lines[0] == "Ili sekigas la nektaron per siaj flugiloj [1]."
    assert lines[2].startswith("*[1] ")
    assert lines[2].endswith("  Titolo 0")
    assert lines[3].strip() == TEXTS[0]
    assert lines[5].startswith(" [2] ")
    assert lines[-1] == "* cited"
    assert "[3]" not in done.stdout
    (request,) = server.requests
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert request["messages"][1]["content"].count('"number"') == 2


def test_json_holds_all_facts(index):
    server = ChatServer(lambda request: ANSWER, [{"id": "m"}])
    with server.running_at() as url:
        row = json.loads(ask(index, url, "--json").stdout)
    assert (row["answered"], row["citations"], row["dropped_citations"]) == (True, [1], ["9"])
    assert row["language_ok"]
    assert [source["number"] for source in row["sources"]] == [1, 2, 3]
    assert row["sources"][0]["id"] == "d0"


def test_no_answer_and_a_wrong_language_are_said(index, tmp_path):
    (tmp_path / "not-in-documents.yaml").write_text("epo: Mi ne scias.", encoding="utf-8")
    server = ChatServer(lambda request: NOT_IN_DOCUMENTS, [{"id": "m"}])
    with server.running_at() as url:
        done = ask(index, url, "--prompts", str(tmp_path))
        assert done.stdout.startswith("Mi ne scias.\n")
        assert "cited" not in done.stdout
        server.answer = lambda request: "The bees in the hive dry all of the nectar with their wings [1]."
        assert "wrong language" in ask(index, url).stderr
        assert "wrong language" not in ask(index, url, "--no-gate").stderr


def test_what_is_wrong_is_named(index, tmp_path):
    server = ChatServer(lambda request: (400, "no"), [{"id": "m"}])
    with server.running_at() as url:
        for done, message in (
            (ask(index, url), "The chat model gave no answer"),
            (ask(index, url, question=" "), "The query is empty"),
            (ask(index, url, "--index", str(tmp_path / "none")), "There is no index"),
            (ask(index, str(tmp_path / "x.gguf")), "The chat model .* is not there"),
        ):
            with pytest.raises(InputError, match=message):
                raise done.exception


@pytest.mark.skipif("ask-rag" not in main.list_commands(None), reason="not among the commands")
def test_the_command_is_known():
    assert "documents of an index" in CliRunner().invoke(main, ["ask-rag", "--help"]).stdout
