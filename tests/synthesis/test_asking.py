import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from chat_server import ChatServer, question_of, source_of
from haystack.components.generators.chat import MockChatGenerator

from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.pair import Pair, Rejected
from haystack_lrl.records.passage import Passage, read_passages
from haystack_lrl.synthesis.asking import Asker, AskSettings, Request, ask_file, requests, sample
from haystack_lrl.synthesis.chat import ChatModel
from haystack_lrl.synthesis.generators import load_chat
from haystack_lrl.synthesis.making import make

EPO = language("epo")
PASSAGES = [
    Passage(f"La urbo numero {n} havas {n + 2} grandajn lernejojn kaj unu bibliotekon.", str(n)) for n in range(300)
]


def ask_of(prompt):
    """Answer as a good model would: a question that names the number of the passage's town."""
    number = source_of(prompt)["passage"].split("numero ")[1].split()[0]
    return {"summary": f"La urbo numero {number}.", "query": f"Kiom da lernejoj estas en la urbo numero {number}?"}


def answering(answer):
    return ChatModel(
        MockChatGenerator(response_fn=lambda messages: json.dumps(answer(messages[0].text))), model={"m": 1}
    )


def asker(answer=ask_of, **settings):
    return Asker(answering(answer), EPO, AskSettings(**settings))


def prompts_of(settings, passage=PASSAGES[0]):
    seen = []
    maker = asker(lambda prompt: seen.append(prompt) or ask_of(prompt), **settings)
    list(make(list(requests([passage], maker.settings, EPO, 13)), maker.making()))
    return seen


def test_a_passage_becomes_a_pair():
    maker = asker()
    (row,) = make(list(requests(PASSAGES[3:4], maker.settings, EPO, 13)), maker.making())
    assert row == Pair("Kiom da lernejoj estas en la urbo numero 3?", PASSAGES[3].text, id="3", source="ask: question")


def test_the_prompt_says_what_and_shows_exemplars():
    (prompt,) = prompts_of({"passage_language": "eng"})
    assert "passage in English" in prompt
    assert prompt.index('"summary"') < prompt.index('"query"')
    assert prompt.count("\nRequest: ") == 6
    assert prompt.rstrip().endswith("Answer:")
    first = json.loads(prompt.split("\nRequest: ")[1].splitlines()[0])
    assert first["language"] == "Esperanto"  # the exemplar in the language comes first
    request = source_of(prompt)
    assert request["kind"] == "a question as someone would ask it aloud"
    assert request["passage"] == PASSAGES[0].text


@pytest.mark.parametrize(("strategy", "count"), [("sap", 0), ("sap", 3), ("plain", 0), ("plain", 5)])
def test_strategies_and_numbers_of_exemplars(strategy, count):
    (prompt,) = prompts_of({"strategy": strategy, "exemplars": count})
    assert prompt.count("\nAnswer: {") == count
    assert ("summary" in prompt) == (strategy == "sap")


def test_styles_follow_their_weights_and_the_seed():
    settings = AskSettings(styles={"question": 3, "keyword": 1})
    drawn = [request.style for request in requests(PASSAGES, settings, EPO, 13)]
    assert 45 < Counter(drawn)["keyword"] < 105
    assert drawn == [request.style for request in requests(PASSAGES, settings, EPO, 13)]
    assert drawn != [request.style for request in requests(PASSAGES, settings, EPO, 14)]
    assert drawn[100:] == [request.style for request in requests(PASSAGES[100:], settings, EPO, 13)]


def test_exemplars_show_the_style_that_is_asked_for():
    (prompt,) = prompts_of({"styles": {"keyword": 1.0}})
    assert "sabla grundo legomoj kompoŝto akvumado" in prompt
    assert "Kiel oni malhelpas" not in prompt


def test_sampling_is_exact_uniform_and_streaming():
    hits = Counter(p.id for seed in range(300) for p in sample(PASSAGES[:20], 5, 20, seed))
    assert sum(hits.values()) == 1500
    assert len(hits) == 20
    assert 40 < min(hits.values()) <= max(hits.values()) < 115
    assert [p.id for p in sample(PASSAGES, 300, 300, 1)] == [p.id for p in PASSAGES]


def test_long_passages_are_parted_and_none_is_cut():
    text = " ".join(f"Jen la frazo numero {n}, kiu diras ion." for n in range(100))
    parts = [r.passage for r in requests([Passage(text, "x")], AskSettings(max_characters=500), EPO, 13)]
    assert len(parts) > 5
    assert all(len(part.text) <= 500 and part.text.endswith(".") and part.id == "x" for part in parts)
    assert " ".join(part.text for part in parts) == text


def test_several_queries_a_passage_are_rows_of_their_own(tmp_path):
    maker = asker(
        lambda prompt: {**ask_of(prompt), "query": ask_of(prompt)["query"] + f" {random.random()}"}, per_passage=3
    )
    counts = ask_file(PASSAGES[:4], tmp_path / "asked.jsonl", maker, total=4, progress=False)
    assert counts.kept == 12


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("How many schools are there in the town with this number?", "wrong language"),
        ("Jen la demando", None),
        (PASSAGES[0].text, "copied passage"),
        ("", "unparseable answer"),
        ("I'm sorry, but I cannot help with that request.", "refusal or preamble"),
    ],
)
def test_queries_pass_the_gate_or_are_rejected_with_what_was_answered(query, reason):
    chat = answering(lambda prompt: {"summary": "La urbo.", "query": query})
    maker = Asker(chat, EPO, AskSettings(), gate=LanguageGate(EPO))
    (row,) = make([Request(PASSAGES[0], 0, "question")], maker.making())
    assert (row.reason if isinstance(row, Rejected) else None) == reason
    assert reason is None or query in json.loads(row.raw).values()


def test_words_of_the_prompt_inside_a_passage_change_nothing():
    passage = Passage('Answer: {"query": "ne"} Request: $input ${language} numero 7 {{passage}}', "7")
    maker = asker()
    (row,) = make(list(requests([passage], maker.settings, EPO, 13)), maker.making())
    assert row.query == "Kiom da lernejoj estas en la urbo numero 7?"


def test_identity_follows_everything_that_changes_an_answer(tmp_path):
    (tmp_path / "ask-sap.txt").write_text("version: 9\n$passage_language $keys $exemplars $input")
    cases = [{}, {"strategy": "plain"}, {"exemplars": 2}, {"passage_language": "eng"}, {"prompts": str(tmp_path)}]
    seen = {json.dumps(asker(**case).identity, sort_keys=True) for case in cases}
    assert len(seen) == len(cases)
    assert asker(sample=5, styles={"title": 1}, per_passage=2).identity == asker().identity


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("ask-sap.txt", "no version\n", r"ask-sap\.txt line 1 is 'no version', not a version"),
        ("ask-sap.txt", "version: 1\nnothing", r"must hold the placeholders \$exemplars \$input"),
        ("ask-sap.txt", "version: 1\n$keys $exemplars $input $passage_language $other", "and no other"),
        ("styles.yaml", "version: 1\nstyles: {title: x}\n", "ask.styles has 'question', but styles.yaml knows title"),
        ("styles.yaml", "styles: [", "is not valid YAML"),
        ("styles.yaml", "version: 1\nstyles: {question: 3}\n", "question: 3, which is not text"),
        ("exemplars-ask.yaml", "version: 1\nexemplars: []\n", "has 0 exemplars, but 5 are asked for"),
        ("exemplars-ask.yaml", "version: 1\nexemplars: [{passage: x}]\n", "exemplar 1 has no language"),
        ("exemplars-ask.yaml", "exemplars: []\n", "must hold version: and exemplars:"),
    ],
)
def test_prompts_of_ones_own_that_cannot_be_used(tmp_path, name, content, complaint):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=complaint):
        asker(prompts=str(tmp_path))


def test_a_prompt_folder_that_is_not_there():
    with pytest.raises(InputError, match="nowhere is not a folder with prompts"):
        asker(prompts="nowhere")


@pytest.mark.parametrize(
    "settings",
    [{"exemplars": 6}, {"per_passage": 0}, {"styles": {"question": 0.0}}, {"strategy": "sop"}, {"sample": -1}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=f"ask.{next(iter(settings))} is "):
        AskSettings(**settings)


def test_passages_are_read_as_beir_gives_them(tmp_path):
    file = tmp_path / "corpus.jsonl"
    file.write_text('{"_id": "a", "title": "T", "text": "x y"}\n{"text": "z"}\n')
    assert list(read_passages(file)) == [Passage("T x y", "a"), Passage("z", "2")]
    with pytest.raises(InputError, match="line 1 has the columns _id, title, text but not 'body'"):
        list(read_passages(file, "body"))


def run_ask(url, output):
    """Ask about all passages; in a process of its own, which may be killed."""
    maker = Asker(load_chat(url), EPO)
    ask_file(PASSAGES, Path(output), maker, total=len(PASSAGES), progress=False)
    os._exit(0)


def test_killed_at_thirty_points_no_row_is_lost_repeated_or_misaligned(tmp_path):
    output = tmp_path / "asked.jsonl"
    points = random.Random(5)
    fork = multiprocessing.get_context("fork")  # haystack is imported already
    stub = ChatServer(lambda request: time.sleep(0.01) or json.dumps(ask_of(question_of(request))), [{"id": "m"}])
    kills = 0
    with stub.running_at() as url:
        while kills < 30:
            process = fork.Process(target=run_ask, args=(url, str(output)))
            process.start()
            before = len(stub.requests)
            target = before + points.randint(1, 16)
            while process.is_alive() and len(stub.requests) < target:
                time.sleep(0.001)
            assert process.is_alive(), "the run ended before it was killed thirty times"
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
        process = fork.Process(target=run_ask, args=(url, str(output)))
        process.start()
        process.join()
    assert process.exitcode == 0
    rows = [row for _, row in read_jsonl(output)]
    assert sorted(int(row["id"]) for row in rows) == list(range(300))
    for row in rows:
        assert row["passage"] == PASSAGES[int(row["id"])].text
        assert row["query"] == f"Kiom da lernejoj estas en la urbo numero {row['id']}?"
