"""Answers from numbered sources: what a chat model is told, and what of its reply may be shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import regex
import yaml

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.answers import AnswerError, parse_answer
from haystack_lrl.synthesis.prompts import load_prompt, prompt_file

NOT_IN_DOCUMENTS = "NOT_IN_DOCUMENTS"
"""What the model replies where the sources do not answer: a word that every model can copy in every language."""

_LEAK = 8  # words in a row of the instructions: no sentence about anything else has them
_DIGITS = 4  # of a source's number; Python refuses to read numbers of thousands of digits
_CITATION = regex.compile(r"\s*[\[【]\s*(\d+(?:\s*[,،、;؛]\s*\d+)*)\s*[\]】]")  # [1], [1, 2], 【1】, in any digits
_IMAGE = regex.compile(r"!(?=\[[^\]]*\]\()")  # pages fetch Markdown images, and so tell their server things
_WORD = regex.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """A reply after its checks.

    :param text: one line with citations such as `[1][2]`; empty where nothing of the reply may be shown.
    :param citations: numbers of the sources that it cites, in order, each once.
    :param dropped: cited numbers that no source has.
    :param reason: why it does not count as an answer; None where it does.
    """

    text: str
    citations: tuple[int, ...] = ()
    dropped: tuple[str, ...] = ()
    reason: str | None = None


def answer_instructions(language: Language, folder: Path | None = None) -> str:
    """Return the system prompt: `answer.txt`, filled in.

    :param folder: with an `answer.txt` of the user's own.
    :raises InputError: for a file that cannot be used.
    """
    prompt = load_prompt("answer", {"language", "marker"}, folder)
    return prompt.render(language=language.described, marker=NOT_IN_DOCUMENTS).strip()


def not_in_documents(language: Language, folder: Path | None = None) -> str:
    """Return the sentence that stands for an answer where there is none, in English for want of a better one.

    :param folder: with a `not-in-documents.yaml` of the user's own, of which a line for the language is enough.
    :raises InputError: for a file that is no mapping of codes to sentences.
    """
    for place in (folder, None):
        source = prompt_file("not-in-documents.yaml", place)
        try:
            sentences = yaml.safe_load(source.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise InputError(f"{source} is not valid YAML: write lines such as 'epo: a sentence'.") from error
        if not isinstance(sentences, dict):
            raise InputError(f"{source} is not a list of codes and sentences: write lines such as 'epo: a sentence'.")
        if language.code in sentences:
            return str(sentences[language.code])
    return str(sentences["eng"])


def check_reply(reply: str, sources: int, instructions: str) -> CitedAnswer:
    """Return what may be shown of a reply.

    Only a reply that cites a source is an answer. One that repeats the instructions is withheld, whatever a document
    made the model do; a translation or paraphrase of them is not recognised.

    :param sources: how many there are, numbered from 1.
    :param instructions: the system prompt, which readers must not see.
    """
    try:
        text = _IMAGE.sub("", parse_answer(reply, ())["text"])
    except AnswerError:
        return CitedAnswer("", reason="empty reply")
    if _repeats(text, instructions):
        return CitedAnswer("", reason="instructions repeated")
    if NOT_IN_DOCUMENTS in text:
        return CitedAnswer("", reason="not in the documents")
    numbers = [number for match in _CITATION.finditer(text) for number in _numbers(match)]
    known = tuple(dict.fromkeys(int(number) for number in numbers if _exists(number, sources)))
    dropped = tuple(dict.fromkeys(number for number in numbers if not _exists(number, sources)))
    shown = _CITATION.sub(lambda match: _shown(match, sources), text).strip()
    reason = None if known and without_citations(shown) else "no valid citation"
    return CitedAnswer(shown, known, dropped, reason)


def without_citations(text: str) -> str:
    """Return an answer's words alone."""
    return _CITATION.sub("", text).strip()


def _numbers(match: "regex.Match[str]") -> Iterator[str]:
    yield from regex.findall(r"\d+", match[1])


def _exists(number: str, sources: int) -> bool:
    return len(number) <= _DIGITS and 1 <= int(number) <= sources


def _shown(match: "regex.Match[str]", sources: int) -> str:
    """Return a citation as `[1][2]`, without what does not exist."""
    kept = "".join(f"[{int(number)}]" for number in _numbers(match) if _exists(number, sources))
    return f" {kept}" if kept else ""


def _repeats(text: str, instructions: str) -> bool:
    return not _runs(text).isdisjoint(_runs(instructions))


def _runs(text: str) -> set[tuple[str, ...]]:
    """Return all runs of so many words, whatever stands between the words."""
    words = _WORD.findall(text.casefold())
    return {tuple(words[start : start + _LEAK]) for start in range(len(words) - _LEAK + 1)}
