"""What a native speaker says of a made test set: the sheet to fill in, and the verdicts read back."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from scipy.stats import binomtest

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line, read_jsonl, write_json, writing
from haystack_lrl.records.sheets import read_sheet, write_sheet

REVIEWED = "review.json"
"""File of a test set's folder that says what its reviewer found."""

VERDICTS: Mapping[str, str] = {
    "ok": "a speaker would ask this, and the passage answers it",
    "wrong": "the language is wrong, or the question makes no sense",
    "not relevant": "the passage does not answer it",
}
"""What a reviewer may say of a question, and what it means."""

_EDITED = "edited"
_COLUMNS = ("id", "question", "passage", "verdict", "edited question", "comment")
_QUESTIONS = "questions.jsonl"


@dataclass(frozen=True, slots=True)
class MadeQuestion:
    """A question of a made test set.

    :param id: of the question and its passage's text, so that verdicts still fit after the set was made again.
    :param passage_id: the document of the corpus that answers it.
    :param passage: that document's text.
    :param source: how it was asked.
    :param found_by: which finders of the round trip have its passage among the best.
    """

    id: str
    text: str
    passage_id: str
    passage: str
    source: str
    found_by: tuple[str, ...]


def write_questions(folder: Path, questions: Sequence[MadeQuestion]) -> None:
    """Write questions.jsonl, and the queries and qrels of a BEIR folder, qrels last."""
    with writing(folder / _QUESTIONS) as file:
        file.writelines(dump_line(asdict(question)) for question in questions)
    _write_beir(folder, questions)


def _write_beir(folder: Path, questions: Iterable[MadeQuestion]) -> None:
    qrels = folder / "qrels" / "test.tsv"
    with suppress(FileNotFoundError):
        qrels.unlink()  # a kill here leaves no test set, and not the queries of one with the judgements of another
    rows = list(questions)
    with writing(folder / "queries.jsonl") as file:
        file.writelines(dump_line({"_id": question.id, "text": question.text}) for question in rows)
    with writing(qrels) as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"{question.id}\t{question.passage_id}\t1\n" for question in rows)


def write_review(folder: Path, questions: Sequence[MadeQuestion], spoken: Language) -> None:
    """Write review.csv for a spreadsheet program and review.html for a browser, which saves the same table."""
    rows = ((question.id, question.text, question.passage, "", "", "") for question in questions)
    write_sheet(folder / "review.csv", _COLUMNS, rows)
    script = (Path(__file__).parent / "review_sheet.js").read_text(encoding="utf-8")
    with writing(folder / "review.html") as file:
        file.writelines(
            _template().generate(
                questions=questions,
                language=spoken,
                verdicts=VERDICTS,
                columns=json.dumps(_COLUMNS),
                script=script,
                script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            )
        )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("review_sheet.html.j2")


def apply_review(folder: Path, sheet: Path) -> dict[str, Any]:
    """Take out of a made test set what its reviewer rejects, and put edited questions in; the rest stays.

    Questions without a verdict stay too. The sheet may be applied again after it was changed.

    :param folder: that `make_test_set` wrote.
    :param sheet: review.csv filled in, or what review.html saved.
    :returns: what review.json holds: counts, and the share of reviewed questions that are ok as they are, with its
        95% interval (Wilson).
    :raises InputError: with path and line for an unknown id or verdict, two verdicts on a question, an edited question
        without text, a sheet without verdicts, and when no question is left.
    """
    questions = {question.id: question for question in _read_questions(folder)}
    verdicts = _read_verdicts(sheet, questions)
    if not verdicts:
        raise InputError(f"{sheet} has no verdict: fill in the column verdict with {', '.join(VERDICTS)}.")
    kept = [
        replace(question, text=verdicts[name][1]) if verdicts.get(name, ("",))[0] == _EDITED else question
        for name, question in questions.items()
        if verdicts.get(name, ("ok",))[0] in {"ok", _EDITED}
    ]
    if not kept:
        raise InputError(f"{sheet} rejects all {len(questions)} questions: make the test set with another generator.")
    counts = Counter(verdict for verdict, _ in verdicts.values())
    share = binomtest(counts["ok"], len(verdicts)).proportion_ci(method="wilson")
    report = {
        "questions": len(questions),
        "reviewed": len(verdicts),
        "kept": len(kept),
        "verdicts": {name: counts[name] for name in (*VERDICTS, _EDITED)},
        "agreement": {"mean": counts["ok"] / len(verdicts), "low": float(share.low), "high": float(share.high)},
        "rows": {name: verdict for name, (verdict, _) in verdicts.items()},
    }
    write_json(folder / REVIEWED, report)
    _write_beir(folder, kept)
    return report


def _read_questions(folder: Path) -> list[MadeQuestion]:
    path = folder / _QUESTIONS
    if not path.is_file():
        raise InputError(f"{folder} holds no {_QUESTIONS}: give the folder that make-test-set wrote to its end.")
    return [MadeQuestion(**{**row, "found_by": tuple(row["found_by"])}) for _, row in read_jsonl(path)]


def _read_verdicts(sheet: Path, known: Mapping[str, MadeQuestion]) -> dict[str, tuple[str, str]]:
    """Return verdict and edited text by question id, of the questions that have a verdict."""
    verdicts: dict[str, tuple[str, str]] = {}
    for where, row in read_sheet(sheet, ("id", "verdict")):
        said, edited = " ".join(row["verdict"].lower().split()), row.get("edited question", "")
        if not said and not edited:
            continue
        if row["id"] not in known:
            raise InputError(f"{where} has the id {row['id']!r}, which no question here has: give this set's sheet.")
        if said not in {"", _EDITED, *VERDICTS}:
            raise InputError(f"{where} has the verdict {said!r}, but must have {', '.join(VERDICTS)} or nothing.")
        if said == _EDITED and not edited:
            raise InputError(f"{where} says edited but has no edited question: write it there.")
        verdict = _EDITED if edited and said in {"", "ok", _EDITED} else said
        if verdicts.setdefault(row["id"], (verdict, edited)) != (verdict, edited):
            raise InputError(f"{where} judges {row['id']!r} a second time and otherwise: keep one of the rows.")
    return verdicts
