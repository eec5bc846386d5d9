"""What a chat model answered: the texts in it, or what is wrong with it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from haystack_lrl.synthesis.translator import one_line

Answer = Mapping[str, str]

_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)  # models that think aloud answer after it
_FENCE = re.compile(r"\A```\w*\n(.*)\n```\Z", re.DOTALL)
_QUOTES = (("“", "”"), ("«", "»"), ('"', '"'), ("„", "“"))


class AnswerError(ValueError):
    """What is wrong with a model's answer, in words for the model."""


def parse_answer(answer: str, keys: Sequence[str]) -> Answer:
    """Return the text of each key in an answer, whatever stands around its JSON object.

    Of several objects the last counts: models that think aloud answer at the end.

    :param keys: what the object must hold; none, and the whole answer is the one text, under the key `text`.
    :raises AnswerError: when no JSON object holds a text for each key, or there is no text.
    """
    if not keys:
        return {"text": _plain(answer)}
    found = [row for row in _objects(answer) if row.keys() & set(keys)]
    if not found:
        raise AnswerError(f"it holds no complete JSON object with {named(keys)}")
    row = found[-1]
    for key in keys:
        if not (isinstance(row.get(key), str) and row[key].strip()):
            raise AnswerError(f"the key {key!r} is missing, is empty or is not a text")
    return {key: one_line(row[key]) for key in keys}


def answer_schema(keys: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of an object with a text for each key, in this order."""
    return {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": list(keys),
        "additionalProperties": False,
    }


def named(keys: Sequence[str]) -> str:
    """Return the keys as a prompt names them."""
    return f"the key{'s' * (len(keys) > 1)} " + " and ".join(f'"{key}"' for key in keys)


def _plain(answer: str) -> str:
    text = _FENCE.sub(r"\1", _THOUGHTS.sub("", answer).strip())
    text = one_line(text)
    for left, right in _QUOTES:
        if len(text) > 1 and text.startswith(left) and text.endswith(right) and left not in text[1:-1]:
            text = text[1:-1].strip()
    if not text:
        raise AnswerError("it is empty")
    return text


def _objects(answer: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that stand in a text, outermost ones only."""
    decoder = json.JSONDecoder(strict=False)  # models put real line breaks into strings
    start = answer.find("{")
    while start >= 0:
        end = start + 1
        try:
            row, end = decoder.raw_decode(answer, start)
            yield row
        except json.JSONDecodeError:
            pass
        start = answer.find("{", end)
