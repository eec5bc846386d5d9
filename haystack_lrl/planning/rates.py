"""How fast this machine is: measured for a moment, kept in a plan's JSON, and read from there on another machine."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.estimate import seconds_a_pair, seconds_a_token
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line, read_jsonl
from haystack_lrl.records.pair import Pair, read_pairs
from haystack_lrl.records.text import text_of

_TIMED, _COUNTED = 64, 512  # passages that are encoded, and whose length is taken


@dataclass(frozen=True)
class Rates:
    """What one worker does; None where nobody measured it.

    :param tokens_per_second: that the model encodes.
    :param tokens_per_passage: of the sampled passages, cut where the model cuts them.
    :param bytes_per_passage: of their text in UTF-8.
    :param bytes_per_row: of a translated pair in the file.
    :param rows_per_minute: that are translated.
    :param dimensions: of the model's vectors.
    :param device: that it ran on.
    :param model: that was measured.
    :param translator: that was measured.
    """

    tokens_per_second: float | None = None
    tokens_per_passage: float | None = None
    bytes_per_passage: float | None = None
    bytes_per_row: float | None = None
    rows_per_minute: float | None = None
    dimensions: int | None = None
    device: str | None = None
    model: str | None = None
    translator: str | None = None

    def __or__(self, other: "Rates") -> "Rates":
        """Return these with what the other knows in place of it."""
        return Rates(**{**asdict(self), **{name: value for name, value in asdict(other).items() if value is not None}})


def read_rates(path: Path) -> Rates:
    """Return the rates that `plan --json` wrote.

    :raises InputError: when the file is not what that command prints.
    """
    try:
        rates = json.loads(path.read_text(encoding="utf-8"))["rates"]
        given = Rates(
            **{name: value for name, value in rates.items() if name in {field.name for field in fields(Rates)}}
        )
        numbers = [value for name, value in asdict(given).items() if "_per_" in name or name == "dimensions"]
        if not all(value is None or value > 0 for value in numbers):
            raise ValueError("a rate is not above 0")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no rates ({error}): give what `haystack-lrl plan --json` printed.") from error
    return given


def pairs_of(path: Path | None) -> list[Pair]:
    """Return some English pairs of a JSONL file, by default of the package's samples.

    :raises InputError: when there are none, or a line is no pair.
    """
    with resources.as_file(resources.files("haystack_lrl.samples") / "seeds.jsonl") as own:
        pairs = list(itertools.islice(read_pairs(path or own), _COUNTED))
    if not pairs:
        raise InputError(f"{path} holds no pairs: give JSON lines with query and passage.")
    return pairs


def passages_of(path: Path) -> list[str]:
    """Return some passages of JSON lines, from the column text, content or passage.

    :raises InputError: when there are none, or a line has none of the columns.
    """
    rows = itertools.islice(read_jsonl(path), _COUNTED)
    texts = list(_texts(rows, path))
    if not any(texts):
        raise InputError(f"{path} holds no text: give JSON lines of passages.")
    return texts


def _texts(rows: Iterator[tuple[int, dict[str, Any]]], path: Path) -> Iterator[str]:
    for number, row in rows:
        column = next((name for name in ("text", "content") if name in row), "passage")
        yield text_of(row, column, f"{path} line {number}")


def encoding_rates(model: str, passages: Sequence[str]) -> Rates:
    """Encode a few passages and return how fast that was.

    :raises InputError: when the model cannot be loaded.
    """
    encoder = SentenceEncoder(load_model(model))
    counts = encoder.token_counts(passages)
    return Rates(
        tokens_per_second=1 / seconds_a_token(encoder, passages[:_TIMED]),
        tokens_per_passage=fmean(min(count, encoder.max_length) for count in counts),
        dimensions=encoder.model.get_embedding_dimension(),
        device=str(encoder.model.device),
        model=model,
    )


def translating_rates(translator: str, language: str, pairs: Sequence[Pair]) -> Rates:
    """Translate a few pairs and return how fast that was.

    :raises InputError: when the translator cannot be loaded or fails.
    """
    return Rates(rows_per_minute=60 / seconds_a_pair(translator, language, pairs), translator=translator)


def text_sizes(passages: Sequence[str], pairs: Sequence[Pair]) -> Rates:
    """Return how many bytes passages and translated pairs have; a translation is taken to be as long as its source."""
    rows = (Pair(pair.query, pair.passage, pair.id, pair.source, pair.query, pair.passage) for pair in pairs)
    return Rates(
        bytes_per_passage=fmean(len(text.encode()) for text in passages),
        bytes_per_row=fmean(len(dump_line(row.to_json()).encode()) for row in rows),
    )
