import json
import random

import pytest
from haystack.components.generators.chat import MockChatGenerator
from toy import write_jsonl

from haystack_lrl.curation.set_aside import PASSAGE, Documents, candidates
from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.evaluation.leaks import check_leaks
from haystack_lrl.evaluation.reviewing import apply_review
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.languages.table import language
from haystack_lrl.making_test_sets import TestSetSettings, make_test_set
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.pair import Pair
from haystack_lrl.synthesis.asking import Asker, AskSettings
from haystack_lrl.synthesis.chat import ChatModel

EPO = language("epo")


def word(rng):
    return "".join(rng.choice("bcdfghjklmnprstvz") + rng.choice("aeiou") for _ in range(3))


def texts(count, seed=0, words=40):
    rng = random.Random(seed)
    return [" ".join(word(rng) for _ in range(words)) + "." for _ in range(count)]


def asking(passage):
    """Ask in words of the passage, with one of the question's own."""
    words = passage.rstrip(".").split()
    return f"Kio estas {' '.join(words[3:9])}?"


class Chat:
    """A chat model that answers by a function of the passage, and counts what it was asked."""

    def __init__(self, answer=asking, die_after=None):
        self.asked = []
        self.answer, self.die_after = answer, die_after

    def __call__(self, messages):
        line = next(row for row in reversed(messages[0].text.splitlines()) if row.startswith(("{", "Request: ")))
        passage = json.loads(line.removeprefix("Request: "))["passage"]
        if len(self.asked) == self.die_after:
            raise ConnectionError("the server died")
        self.asked.append(passage)
        return json.dumps({"summary": passage[:30], "query": self.answer(passage)})

    def asker(self, **settings):
        return Asker(ChatModel(MockChatGenerator(response_fn=self), model={"m": 1}), EPO, AskSettings(**settings))


@pytest.fixture
def corpus(tmp_path):
    rows = [{"_id": f"d{n}", "title": "T", "text": text, "url": n} for n, text in enumerate(texts(100))]
    return write_jsonl(tmp_path / "corpus.jsonl", rows)


def make(corpus, output, chat=None, *, questions=10, **options):
    chat = chat or Chat()
    settings = TestSetSettings(questions=questions, set_aside=0.4)
    return make_test_set(corpus, output, chat.asker(), settings, progress=False, **options), chat


def rows_of(path):
    return [row for _, row in read_jsonl(path)]


def test_a_test_set_of_ones_own_documents(corpus, tmp_path):
    output = tmp_path / "set"
    report, chat = make(corpus, output)
    test_set = load_test_set(output, "epo")
    assert len(test_set.queries) == 10
    assert len(test_set.documents) == 100  # all are there to be confused with
    aside = set((output / "held-out.txt").read_text().split())
    training = rows_of(output / "for-training.jsonl")
    originals = {row["_id"]: row for row in rows_of(corpus)}
    assert {row["_id"] for row in training} == set(originals) - aside
    assert all(row == originals[row["_id"]] for row in training)
    for query, relevant in test_set.qrels.items():
        (document,) = relevant
        assert document in aside
        assert test_set.queries[query] == asking(test_set.documents[document])
    assert set(chat.asked).isdisjoint({f"{row['title']} {row['text']}" for row in training})
    assert report["documents"] == {
        "rows": 100, "kept": len(training), "rejected": {"set aside for the test set": len(aside)}
    }  # fmt: skip
    assert report["passages"] == {"rows": len(aside), "kept": 13, "rejected": {"not needed": len(aside) - 13}}
    assert report["questions"] == {"rows": 13, "kept": 10, "rejected": {"more than asked for": 3}}
    assert report["found_by"] == {"BM25": 10}
    assert json.loads((output / "test-set.json").read_text()) == json.loads(json.dumps(report))


def test_what_is_set_aside_does_not_change_when_documents_are_added(tmp_path):
    few, many = texts(50), [*texts(50), *texts(50, seed=1)]
    sides = []
    for name, every in (("few", few), ("many", reversed(many))):
        path = write_jsonl(tmp_path / name, [{"text": text} for text in every])
        documents = Documents(path, "text", EPO, 0.3, 13)
        sides.append({row["text"] for _, row, document in documents.rows() if documents.is_aside(document)})
    assert sides[0] == sides[1] & set(few)
    assert 5 <= len(sides[0]) <= 25


def documents_of(path, rows, share=0.999):
    return Documents(write_jsonl(path, rows), "text", EPO, share, 13)


def test_passages_that_stand_in_another_document_or_in_the_training_pairs_are_no_candidates(tmp_path):
    one, two, three, four = texts(4)
    rows = [{"_id": "a", "text": one}, {"_id": "b", "text": f"{texts(1, seed=3)[0]} {one}"}, {"_id": "c", "text": two}]
    rows += [{"_id": "d", "text": three}, {"_id": "e", "text": three.replace(" ", "  ")}, {"_id": "f", "text": four}]
    rows += [{"_id": "g", "text": " "}]
    pairs = write_jsonl(tmp_path / "pairs.jsonl", [{"query": "q", "passage": two.upper(), "english_passage": "x"}])
    passages, counts = candidates(documents_of(tmp_path / "c.jsonl", rows), 50, pairs)
    assert {passage.id for passage in passages} == {"f"}
    assert counts.to_json()["rejected"] == {
        "passage of another document too": 3,  # a, b which holds it, and d
        "equal to one before": 1,
        "empty": 1,
        "passage of the training pairs": 1,
    }


def test_long_documents_are_parted_as_the_questions_passages_are(tmp_path):
    long = " ".join(texts(30))
    rows = [{"_id": "a", "text": long}, {"_id": "b", "text": texts(1, seed=9)[0]}]
    passages = [p for _, p, why in documents_of(tmp_path / "c.jsonl", rows).passages() if not why]
    assert [p.id for p in passages] == [*(f"a#{n}" for n in range(len(passages) - 1)), "b"]
    assert len(passages) > 3
    assert all(len(p.text) <= PASSAGE for p in passages)
    assert " ".join(p.text for p in passages[:-1]) == long


def test_rejected_questions_are_told_with_their_reasons_and_others_are_asked(corpus, tmp_path):
    turns = {}

    def answer(passage):
        turns[passage] = number = turns.setdefault(passage, len(turns))
        kind = number % 4
        if kind == 0:
            return passage  # copied: the asker itself rejects it
        if kind == 1:
            return f"Kiu estas nomita {texts(1, seed=500 + number, words=4)[0]}?"  # finds nothing
        return asking(passage) if kind == 2 else asking(passage).replace("Kio estas", "Kio do estas")

    trained = tmp_path / "pairs.jsonl"
    write_jsonl(trained, [{"query": "nothing", "passage": "of that"}])
    report, chat = make(corpus, tmp_path / "set", Chat(answer), pairs=trained)
    rejected = report["questions"]["rejected"]
    assert rejected["copied passage"] > 1
    assert rejected["does not find its passage"] > 1
    assert report["questions"]["kept"] == 10
    assert report["questions"]["rows"] == len(set(chat.asked)) == report["passages"]["kept"]
    reasons = [row["reason"] for row in rows_of(tmp_path / "set" / "rejected.jsonl")]
    assert {reason: reasons.count(reason) for reason in reasons} == rejected
    assert len(list((tmp_path / "set" / "asked").iterdir())) > 1  # rounds
    # the same questions in training: all are rejected, and the leak check agrees
    first = load_test_set(tmp_path / "set", "epo")
    leaked = [{"query": query.upper() + "!", "passage": "of that"} for query in first.queries.values()]
    write_jsonl(trained, leaked)
    with pytest.raises(InputError, match="10 of its 10 queries"):
        check_leaks([first], [Pair(row["query"], row["passage"]) for row in leaked])
    again, _ = make(corpus, tmp_path / "again", Chat(asking), pairs=trained)
    assert again["questions"]["rejected"]["question of the training pairs"] >= 3


def test_nearly_equal_questions_are_asked_once(corpus, tmp_path):
    def answer(passage):
        return f"Kion oni devas scii antaux ol oni legas la tutan tekston pri {passage.split()[2]}?"

    report, _ = make(corpus, tmp_path / "set", Chat(answer), questions=5)
    asked = report["questions"]["rows"]
    assert report["questions"] == {"rows": asked, "kept": 1, "rejected": {"nearly another question": asked - 1}}


def test_no_question_left_is_an_error_with_the_reasons(corpus, tmp_path):
    with pytest.raises(InputError, match=r"None of \d+ questions .*copied passage: \d+"):
        make(corpus, tmp_path / "set", Chat(lambda passage: passage))
    assert not (tmp_path / "set" / "qrels").exists()


def test_a_scorer_finds_what_shares_no_word(corpus, tmp_path, tiny_model):
    strange = Chat(lambda passage: f"Kiu {' '.join(w[::-1] for w in passage.split()[3:9])}")
    scorer = SentenceEncoder.from_path(tiny_model, precision="fp32")
    report, _ = make(corpus, tmp_path / "set", strange, scorer=scorer, scorer_name="tiny")
    assert report["scorer"] == "tiny"
    assert set(report["found_by"]) == {"scorer"}


def test_a_killed_run_goes_on(corpus, tmp_path):
    with pytest.raises(InputError, match="the server died"):
        make(corpus, tmp_path / "set", Chat(die_after=6))
    assert not (tmp_path / "set" / "qrels").exists()
    assert (tmp_path / "set" / "for-training.jsonl").is_file()
    report, chat = make(corpus, tmp_path / "set")
    whole, every = make(corpus, tmp_path / "whole")
    assert len(chat.asked) == len(every.asked) - 6
    assert report == whole
    for name in ("queries.jsonl", "qrels/test.tsv", "review.html", "corpus.jsonl", "review.csv", "rejected.jsonl"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_reviewed_set_is_not_overwritten(corpus, tmp_path):
    make(corpus, tmp_path / "set")
    sheet = tmp_path / "set" / "review.csv"
    sheet.write_text(sheet.read_text(encoding="utf-8").replace(",,,\n", ",ok,,\n"), encoding="utf-8")
    report = apply_review(tmp_path / "set", sheet)
    assert report["reviewed"] == report["kept"] == 10
    with pytest.raises(InputError, match="holds a reviewed test set, which would be lost"):
        make(corpus, tmp_path / "set")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"_id": "a", "text": "x"}, {"_id": "a", "text": "y"}], r"line 2 repeats the id 'a'"),
        ([{"_id": "a", "body": "x"}], r"line 1 has the columns _id, body but not 'text'"),
        ([{"_id": "a", "text": "x"}], r"has 1 documents, of which \d were set aside"),
        ([], r"has 0 documents"),
    ],
)
def test_documents_that_cannot_be_used(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        make(write_jsonl(tmp_path / "c.jsonl", rows), tmp_path / "set")


@pytest.mark.parametrize("wrong", [{"questions": 0}, {"set_aside": 1.0}, {"set_aside": 0.0}, {"top_k": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TestSetSettings(**wrong)


def test_an_asker_that_parts_or_samples_is_refused(corpus, tmp_path):
    for settings in ({"sample": 3}, {"per_passage": 2}, {"max_characters": 500}):
        with pytest.raises(ValueError, match="one question a passage"):
            make_test_set(corpus, tmp_path / "set", Chat().asker(**settings), TestSetSettings())
