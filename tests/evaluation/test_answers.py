import collections
import json
import re
import string

import numpy as np
import pytest
from chat_server import ChatServer
from haystack import Document, GeneratedAnswer
from haystack.components.generators.chat import MockChatGenerator

from haystack_lrl.evaluation.answers import (
    GivenAnswer,
    answer_tokens,
    exact_match,
    judge_faithfulness,
    read_references,
    score_citations,
    score_texts,
    token_f1,
)
from haystack_lrl.evaluation.statistics import bootstrap, paired
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.chat import ChatModel
from haystack_lrl.synthesis.generators import load_chat

ENG, EPO = language("eng"), language("epo")


# SQuAD's own script, evaluate-v2.0.py, word for word but for names


def squad_normalised(text):
    text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text).split())


def squad_f1(gold, predicted):
    gold, predicted = squad_normalised(gold).split(), squad_normalised(predicted).split()
    common = collections.Counter(gold) & collections.Counter(predicted)
    same = sum(common.values())
    if len(gold) == 0 or len(predicted) == 0:
        return int(gold == predicted)
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(predicted), 1.0 * same / len(gold)
    return (2 * precision * recall) / (precision + recall)


PAIRS = [
    ("the Denver Broncos", "Denver Broncos"),
    ("Denver Broncos won Super Bowl 50.", "Denver Broncos"),
    ("$2.50", "2.50"),
    ("24–10", "24 – 10"),
    ("well-known", "well known"),
    ("An apple a day", "apple, the day!"),
    ("", "x"),
    ("the", "a"),
    ("", ""),
    ("New York, New York", "New York"),
    ("x^2 + y", "x2  y"),
    ("Beyoncé's", "beyonces"),
]


@pytest.mark.parametrize(("predicted", "gold"), PAIRS)
def test_english_scores_are_those_of_squad(predicted, gold):
    if "–" not in predicted:  # SQuAD's punctuation is ASCII, ours and MLQA's is Unicode's
        assert exact_match(predicted, [gold], ENG) == (squad_normalised(predicted) == squad_normalised(gold))
        assert token_f1(predicted, [gold], ENG) == pytest.approx(squad_f1(gold, predicted), abs=1e-12)
    else:
        assert exact_match(predicted, ["2410"], ENG) == 1


def test_random_english_scores_are_those_of_squad():
    rng = np.random.default_rng(0)
    words = ["the", "a", "An", "cat", "Cat,", "dog", "runs.", "(fast)", "$5", "it's"]
    for _ in range(300):
        predicted, gold = (" ".join(rng.choice(words, size=rng.integers(0, 6))) for _ in range(2))
        assert exact_match(predicted, [gold], ENG) == (squad_normalised(predicted) == squad_normalised(gold))
        assert token_f1(predicted, [gold], ENG) == pytest.approx(squad_f1(gold, predicted), abs=1e-12)


@pytest.mark.parametrize(
    ("code", "one", "other"),
    [
        ("hye", "Ինչո՞ւ «Երևանում»։", "ինչու Երևանում"),
        ("amh", "አዲስ አበባ፣ ኢትዮጵያ።", "አዲስ አበባ ኢትዮጵያ"),
        ("epo", "C\u0302u vere?", "ĉu vere"),
        ("tur", "IŞIK", "ışık"),
        ("jpn", "東京。", "東京"),
    ],
)
def test_case_spelling_and_punctuation_of_every_script_count_nothing(code, one, other):
    assert exact_match(one, [other], language(code)) == 1


def test_only_english_loses_articles_and_only_scripts_without_spaces_are_cut():
    assert answer_tokens("a the kato", EPO) == ["a", "the", "kato"]
    assert answer_tokens("東京 都", language("jpn")) == ["東", "京", "都"]
    assert token_f1("東京都", ["東京"], language("jpn")) == pytest.approx(0.8)


def test_the_best_reference_counts_and_no_reference_wants_no_answer():
    answers = {"a": GivenAnswer("la kato dormas"), "b": GivenAnswer(""), "d": GivenAnswer("io")}
    references = {"a": ["hundo", "kato dormas"], "b": [], "c": ["io"], "d": []}
    scores = score_texts(answers, references, EPO)
    assert scores["EM"].tolist() == [0, 1, 0, 0]
    assert scores["F1"].tolist() == pytest.approx([0.8, 1, 0, 0])


def test_citations_are_counted_against_the_judgements():
    qrels = {"a": {"d1": 1, "d2": 2, "d9": 0}, "b": {"d1": 1}, "c": {"d1": 1}}
    answers = {"a": GivenAnswer("x", ("d1", "d9")), "b": GivenAnswer("x", ("d1",)), "c": GivenAnswer("")}
    scores = score_citations(answers, qrels)
    assert scores["answered"].tolist() == [1, 1, 0]
    assert scores["citation precision"].tolist() == [0.5, 1, 0]
    assert scores["citation recall"].tolist() == [0.5, 1, 0]
    assert score_citations({}, qrels)["answered"].tolist() == [0, 0, 0]
    assert bootstrap(scores["answered"]).mean == pytest.approx(2 / 3)
    assert paired(scores["citation recall"], scores["answered"]).mean == pytest.approx(-1 / 6)


def test_haystack_answers_are_read_without_citations_and_by_document():
    passages = [Document(id=f"p{n}", content=f"t{n}", meta={"source_id": "d1"}) for n in range(2)]
    answer = GeneratedAnswer("Jes [1][2].", "?", [*passages, Document(id="d2", content="u")], {"answered": True})
    assert GivenAnswer.from_haystack(answer) == GivenAnswer("Jes.", ("d1", "d2"), ("t0", "t1", "u"))
    assert GivenAnswer.from_haystack(GeneratedAnswer("Ne.", "?", [], {"answered": False})) == GivenAnswer("")


def test_references_are_read_and_faults_named(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"_id": "a", "answers": ["x"]}\n{"_id": "b", "answers": []}\n', encoding="utf-8")
    assert read_references(path) == {"a": ["x"], "b": []}
    for wrong, message in (
        ('{"_id": "a"}', "line 1 needs"),
        ('{"_id": "a", "answers": "x"}', "line 1 needs"),
        ('{"_id": "a", "answers": []}\n{"_id": "a", "answers": []}', "line 2 repeats"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_references(path)


# faithfulness

ANSWERS = {
    "a": GivenAnswer("La kato dormas. La hundo flugas.", ("d1",), ("La kato dormas, la hundo bojas.",)),
    "b": GivenAnswer("La kato dormas.", ("d1",), ("La kato dormas.",)),
    "c": GivenAnswer(""),
}
QUESTIONS = dict.fromkeys(ANSWERS, "Kio okazas?")


def judge(verdict):
    """Return a chat model that answers what a function says of the statement and the sources."""

    def reply(messages):
        row = json.loads(messages[0].text.splitlines()[-1])
        return verdict(row["statement"], row["sources"])

    return ChatModel(MockChatGenerator(response_fn=reply))


def test_faithfulness_is_the_share_of_supported_sentences():
    def verdict(statement, sources):
        return json.dumps({"verdict": "supported" if statement.rstrip(".") in sources[0] else "unsupported"})

    judged = judge_faithfulness(ANSWERS, QUESTIONS, judge(verdict), EPO)
    assert judged.values == {"a": 0.5, "b": 1.0}
    assert judged.failures == {}


@pytest.mark.parametrize("reply", ["supported", '{"verdict": "perhaps"}', '{"verdict": 1}', "{}", ""])
def test_a_judge_without_a_verdict_is_a_failure_and_no_zero(reply):
    def verdict(statement, _):
        return reply if "flugas" in statement else '{"verdict": "supported"}'

    judged = judge_faithfulness(ANSWERS, QUESTIONS, judge(verdict), EPO)
    assert judged.values == {"b": 1.0}
    assert judged.failures.keys() == {"a"}


def test_a_server_that_is_asked_for_json_judges_in_parallel():
    server = ChatServer(lambda request: '{"verdict": "supported"}', [{"id": "m"}])
    with server.running_at() as url:
        judged = judge_faithfulness(ANSWERS, QUESTIONS, load_chat(url), EPO)
    assert judged.values == {"a": 1.0, "b": 1.0}
    assert all(request["response_format"]["type"] == "json_schema" for request in server.requests)
