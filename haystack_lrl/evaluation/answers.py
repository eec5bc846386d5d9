"""How good answers are: against references, by their citations, and by a chat model that judges what they rest on.

Exact match and F1 are SQuAD's (Rajpurkar et al., EMNLP 2016), for every script as in MLQA (Lewis et al., ACL 2020).
Every function returns one value a query, in the order of the test set, so that intervals and paired tests apply; a
query that was not answered scores 0.
"""

import json
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from haystack_lrl.evaluation.metrics import PerQuery
from haystack_lrl.languages.sentences import split_sentences
from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.synthesis.answers import Answer, named
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.cited_answers import without_citations
from haystack_lrl.synthesis.prompts import Prompt, load_prompt
from haystack_lrl.synthesis.translator import Unusable

if TYPE_CHECKING:
    from haystack.dataclasses import GeneratedAnswer

_ARTICLES = {"eng": frozenset({"a", "an", "the"})}  # SQuAD leaves them out; no other language's were agreed upon
_DOTLESS = str.maketrans("Iİ", "ıi")
_VERDICTS = {"supported": 1.0, "unsupported": 0.0}


@dataclass(frozen=True)
class GivenAnswer:
    """What a system answered to a query.

    :param text: without citations; empty where it did not answer.
    :param cited: ids of the documents that it cites.
    :param evidence: texts of the passages that it cites.
    """

    text: str
    cited: Sequence[str] = ()
    evidence: Sequence[str] = ()

    @classmethod
    def from_haystack(cls, answer: "GeneratedAnswer") -> "GivenAnswer":
        """Read an answer of LRLAnswerBuilder; passages count as the documents that they were split from."""
        if not answer.meta.get("answered"):
            return cls("")
        cited = dict.fromkeys(str(each.meta.get("source_id", each.id)) for each in answer.documents)
        return cls(without_citations(answer.data), tuple(cited), tuple(each.content or "" for each in answer.documents))


@dataclass(frozen=True)
class Faithfulness:
    """How much of each answer the passages that it cites support.

    :param values: share of its sentences that are supported, by query id; queries without an answer are not there.
    :param failures: why the judge gave no usable verdict, by query id; these queries have no value.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


def read_references(path: Path) -> dict[str, list[str]]:
    """Read reference answers, rows of `_id` and `answers`; an empty list says that the documents do not answer.

    :raises InputError: with path and line for a row that lacks either, and an id that comes twice.
    """
    references: dict[str, list[str]] = {}
    for number, row in read_jsonl(path):
        answers = row.get("answers")
        if "_id" not in row or not isinstance(answers, list) or not all(isinstance(each, str) for each in answers):
            raise InputError(f"{path} line {number} needs an _id and a list of texts as answers: mend the line.")
        if str(row["_id"]) in references:
            raise InputError(f"{path} line {number} repeats the _id {row['_id']!r}: put all answers into one line.")
        references[str(row["_id"])] = answers
    return references


def answer_tokens(text: str, language: Language) -> list[str]:
    """Return what two answers are compared by: case, punctuation and English articles are left out.

    Scripts without spaces are compared letter by letter.
    """
    folded = unicodedata.normalize("NFC", text)
    folded = (folded.translate(_DOTLESS) if language.dotless_i else folded).casefold()
    folded = unicodedata.normalize("NFC", folded)
    kept = "".join(letter for letter in folded if not _is_punctuation(letter))
    articles = _ARTICLES.get(language.code, frozenset())
    words = [word for word in kept.split() if word not in articles]
    return list("".join(words)) if language.ngram else words


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")


def exact_match(answer: str, references: Sequence[str], language: Language) -> float:
    """Return 1 for an answer that is one of the references, otherwise 0; the empty answer where there are none."""
    given = answer_tokens(answer, language)
    return float(any(given == answer_tokens(each, language) for each in references or [""]))


def token_f1(answer: str, references: Sequence[str], language: Language) -> float:
    """Return the F1 of the tokens that an answer shares with the best of the references, 0 to 1."""
    given = Counter(answer_tokens(answer, language))
    return max(_f1(given, Counter(answer_tokens(each, language))) for each in references or [""])


def _f1(given: Counter[str], wanted: Counter[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    shared = (given & wanted).total()
    return 2 * shared / (given.total() + wanted.total())


def score_texts(
    answers: Mapping[str, GivenAnswer], references: Mapping[str, Sequence[str]], language: Language
) -> PerQuery:
    """Return `EM` and `F1` of every query that has references, in their order."""
    texts = {query: answers[query].text if query in answers else "" for query in references}
    return {
        "EM": _values([exact_match(text, references[query], language) for query, text in texts.items()]),
        "F1": _values([token_f1(text, references[query], language) for query, text in texts.items()]),
    }


def score_citations(answers: Mapping[str, GivenAnswer], qrels: Mapping[str, Mapping[str, int]]) -> PerQuery:
    """Return `answered`, `citation precision` and `citation recall` of every query of the qrels, in their order.

    Precision is the share of cited documents that are relevant, recall the share of relevant documents that are cited.
    """
    rows = [_citations(answers.get(query, GivenAnswer("")), judged) for query, judged in qrels.items()]
    names = ("answered", "citation precision", "citation recall")
    return {name: _values(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _citations(answer: GivenAnswer, judged: Mapping[str, int]) -> tuple[float, float, float]:
    relevant = {document for document, grade in judged.items() if grade > 0}
    right = len(relevant.intersection(answer.cited))
    precision, recall = right / max(1, len(set(answer.cited))), right / max(1, len(relevant))
    return float(bool(answer.text)), precision, recall


def _values(column: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(column, dtype=np.float64)


def judge_faithfulness(
    answers: Mapping[str, GivenAnswer],
    questions: Mapping[str, str],
    chat: ChatModel,
    language: Language,
    prompts: Path | None = None,
) -> Faithfulness:
    """Have a chat model say of every sentence of every answer whether the cited passages support it.

    :param questions: by query id.
    :param chat: the judge; better another model than the one that answered.
    :param prompts: folder with a `judge.txt` in place of the package's own.
    :raises InputError: when the judge cannot be reached, or the prompt cannot be used.
    """
    prompt = load_prompt("judge", {"language", "keys", "input"}, prompts)
    statements = [
        (query, sentence)
        for query, answer in answers.items()
        for sentence in (split_sentences(answer.text, language) if answer.text else [])
    ]
    asked = (_question(prompt, language, questions[q], s, answers[q].evidence) for q, s in statements)
    verdicts: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    for (query, _), verdict in zip(statements, chat.answers(asked), strict=True):
        if isinstance(verdict, Unusable):
            failures[query] = verdict.reason
        else:
            verdicts.setdefault(query, []).append(_VERDICTS[verdict["verdict"]])
    judged = {query: float(np.mean(values)) for query, values in verdicts.items() if query not in failures}
    return Faithfulness(judged, failures)


def _question(prompt: Prompt, language: Language, question: str, statement: str, sources: Sequence[str]) -> Question:
    keys = ("verdict",)
    row = {"question": question, "statement": statement, "sources": list(sources)}
    text = prompt.render(language=language.described, keys=named(keys), input=json.dumps(row, ensure_ascii=False))
    return Question(text, keys, _wrong_verdict)


def _wrong_verdict(answer: Answer) -> str | None:
    return None if answer["verdict"] in _VERDICTS else 'the verdict is neither "supported" nor "unsupported"'
