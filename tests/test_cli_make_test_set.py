"""`make-test-set` and `review-test-set` as a user types them."""

import json

import pytest
import toy
from chat_server import ChatServer, question_of, source_of
from click.testing import CliRunner

from haystack_lrl.cli.make_test_set import make_test_set_command, review_test_set_command
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl


@pytest.fixture
def documents(tmp_path):
    rows = [{"id": f"d{n}", "content": row["passage"]} for n, row in enumerate(toy.toy_seeds(120))]
    return toy.write_jsonl(tmp_path / "documents.jsonl", rows)


@pytest.fixture
def generator():
    """The address of a server whose answers ask in words of the passage, in the style that is wanted."""

    def answer(request):
        asked = source_of(question_of(request))
        return json.dumps({"summary": "s", "query": f"{asked['kind'][:9]} of {asked['passage'][:30]}"})

    with ChatServer(answer, [{"id": "m"}]).running_at() as url:
        yield f"chat:{url}#m"


def make(documents, output, generator, *more):
    arguments = ["--language", "epo", "--documents", documents, "--text-column", "content", "--output", output]
    arguments += ["--generator", generator, "--questions", "8", "--set-aside", "0.4", "--no-gate", "--quiet", *more]
    return CliRunner().invoke(make_test_set_command, [str(argument) for argument in arguments], catch_exceptions=False)


def review(folder, verdicts):
    arguments = [str(folder), "--verdicts", str(verdicts)]
    return CliRunner().invoke(review_test_set_command, arguments, catch_exceptions=False)


def test_a_test_set_is_made_reviewed_and_read(documents, tmp_path, generator, tiny_model):
    output = tmp_path / "set"
    pairs = toy.write_jsonl(tmp_path / "pairs.jsonl", toy.toy_seeds(5, seed=3))
    result = make(documents, output, generator, "--pairs", pairs, "--scorer", tiny_model, "--style", "keyword=1")
    assert result.exit_code == 0, result.output
    first, training, sheet = result.output.strip().splitlines()
    report = json.loads(first)
    assert report["questions"]["kept"] == sum(report["found_by"].values()) == 8
    assert training == f"train on: {output / 'for-training.jsonl'}"
    assert sheet == f"review: {output / 'review.html'}"
    questions = [row for _, row in read_jsonl(output / "questions.jsonl")]
    assert {row["source"] for row in questions} == {"ask: keyword"}
    verdicts = toy_verdicts(tmp_path, questions, ["ok"] * 5 + ["wrong", "not relevant", ""])
    result = review(output, verdicts)
    assert result.output.splitlines() == [
        "7 of 8 questions reviewed: 5 ok, 1 wrong, 1 not relevant, 0 edited",
        "ok as they are: 71% (95% interval 36% to 92%)",
        "6 questions are in the test set now",
    ]
    assert len(load_test_set(output, "epo").queries) == 6
    with pytest.raises(InputError, match="holds a reviewed test set"):
        make(documents, output, generator)


def toy_verdicts(folder, questions, verdicts):
    lines = [f"{row['id']},{verdict}" for row, verdict in zip(questions, verdicts, strict=True)]
    path = folder / "verdicts.csv"
    path.write_text("\n".join(["id,verdict", *lines, ""]))
    return path


def test_what_is_wrong_is_named(documents, tmp_path, generator):
    with pytest.raises(InputError, match=r"The command line cannot be used: set_aside is 2\.0, but must be between"):
        make(documents, tmp_path / "set", generator, "--set-aside", "2")
    with pytest.raises(InputError, match=r"ask\.styles has 'riddle'"):
        make(documents, tmp_path / "set", generator, "--style", "riddle=1")
    with pytest.raises(InputError, match=r"line 1 has the columns id, content but not 'text'"):
        make(documents, tmp_path / "set", generator, "--text-column", "text")
    assert "has no number behind '='" in make(documents, tmp_path / "set", generator, "--style", "keyword=x").output
    with pytest.raises(InputError, match=r"holds no questions\.jsonl"):
        review(tmp_path, documents)
