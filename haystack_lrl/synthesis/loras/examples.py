"""What the LoRA of a generator learns from: rows of a file or data set in, requests and the texts they ask for out."""

import csv
import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haystack_lrl.languages.table import LANGUAGES, Language, language
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import open_text, read_jsonl
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.text import text_hash, text_of
from haystack_lrl.synthesis.prompts import Prompt
from haystack_lrl.synthesis.translator import one_line

Rows = Iterable[tuple[str, dict[str, Any]]]  # where each row stands, for errors, and its columns

ENGLISH = next(row for row in LANGUAGES if row.code == "eng")
PLACEHOLDERS = {"anchor_language", "output_language", "anchor"}


@dataclass(frozen=True, slots=True)
class Example:
    """One text that the model is to write.

    :param anchor: examples of the same anchor are never on both sides of a split.
    :param request: what the user says before it; empty where the text stands alone.
    :param text: what the model learns.
    """

    anchor: str
    request: str
    text: str

    @property
    def key(self) -> str:
        """Identify what the model reads and writes."""
        return text_hash(self.request, self.text)


def request(prompt: Prompt, anchor: str, spoken: Language, output: Language) -> str:
    """Return what the user asks of the generator, in training and afterwards.

    :param spoken: language of the anchor.
    :param output: language that the answer shall be in.
    """
    return prompt.render(anchor_language=spoken.described, output_language=output.described, anchor=anchor)


def read_rows(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where a row stands, and the row, of a JSONL or CSV file (`.gz` too) or of a data set's train split.

    :param source: path of a file or of a data set's folder, or the id of a data set on the hub, with `#NAME` behind it
        where it has several configurations, such as `sentence-transformers/all-nli#triplet`.
    :raises InputError: with path and line for what cannot be read.
    """
    path = Path(source)
    if not path.is_file():
        return _data_set_rows(source)
    if ".csv" in path.suffixes:
        return _csv_rows(path)
    return ((f"{path} line {number}", row) for number, row in read_jsonl(path))


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 1
    with open_text(path) as lines:
        try:
            if lines.read(1) != "\ufeff":  # what spreadsheets write before the first column's name
                lines.seek(0)
            rows = csv.DictReader(lines, strict=True)
            for row in rows:
                number = rows.line_num
                where = f"{path} line {number}"
                if None in row:
                    raise InputError(f"{where} has more cells than the first line has names: quote cells with commas.")
                yield where, dict(row)
        except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path} after line {number} is not CSV in UTF-8 ({error}): mend the file.") from error


def _data_set_rows(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    name, _, configuration = source.partition("#")
    try:
        rows = load_dataset(name, configuration or None, split="train")
    except (OSError, ValueError, DatasetsError) as error:
        raise InputError(
            f"{source} is neither a file nor a data set with a train split that can be loaded "
            f"({str(error).splitlines()[0]}): check the path, the id and the connection."
        ) from error
    for number, row in enumerate(rows, start=1):
        yield f"{source} row {number}", row


def triplet_examples(
    rows: Rows, role: str, prompt: Prompt, *, spoken: str | None, into_english: bool
) -> Iterator[Example]:
    """Yield what one of the two LoRAs learns: the sentence of a triplet that stands in the column `role`.

    :param spoken: code of the anchors' language where a row does not have its own in `language`.
    :param into_english: ask for English and not for the anchor's language (XL-LoRA, arXiv 2603.01732).
    :raises InputError: for a row without the columns or without a language that is known.
    """
    for where, row in rows:
        anchor = text_of(row, "anchor", where).strip()
        own = _language_of(row, where, spoken)
        asked = request(prompt, anchor, own, ENGLISH if into_english else own)
        yield Example(anchor, asked if anchor else "", one_line(text_of(row, role, where)))


def _language_of(row: dict[str, Any], where: str, default: str | None) -> Language:
    code = row.get("language") or default
    if not code:
        raise InputError(f"{where} does not say its anchor's language: add the column language, or give --language.")
    try:
        return language(str(code))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def text_examples(rows: Rows) -> Iterator[Example]:
    """Yield what a language adapter learns: the whole of `text`, or of `prompt` and `completion` one after the other.

    :raises InputError: for a row without these columns.
    """
    for where, row in rows:
        columns = ("prompt", "completion") if "prompt" in row and "text" not in row else ("text",)
        text = "\n".join(text_of(row, column, where).strip() for column in columns).strip()
        yield Example(text, "", text)


def select(examples: Iterable[Example], counts: Counts, *, limit: int, seed: int) -> list[Example]:
    """Return at most `limit` different examples, those of an anchor one after the other; the rest is counted.

    Which and in what order depends on anchors and seed alone, so that both LoRAs of a pair see the same anchors.

    :param counts: gains the rejected examples; the returned ones are the caller's to count.
    """
    total = 0

    def usable() -> Iterator[Example]:
        nonlocal total
        for example in examples:
            if not (example.anchor and example.text):
                counts.reject("empty")
            elif not keys.add(example.key):
                counts.reject("duplicate")
            else:
                total += 1
                yield example

    with closing(Keys()) as keys:
        chosen = heapq.nsmallest(limit, usable(), key=lambda one: (text_hash(str(seed), one.anchor), one.key))
    for _ in range(total - len(chosen)):
        counts.reject("beyond max_rows")
    return chosen


def set_aside(examples: list[Example], most: int) -> tuple[list[Example], list[Example]]:
    """Return the examples to train on and the held-out ones: a tenth, at most `most`, and all of their anchors.

    :param examples: as `select` returns them.
    :raises InputError: when nothing is left to train on.
    """
    cut = max(1, min(most, len(examples) // 10))
    while cut < len(examples) and examples[cut].anchor == examples[cut - 1].anchor:
        cut += 1
    if cut >= len(examples):
        raise InputError(
            f"{len(examples)} usable rows are left, but training and its held-out tenth need two anchors: add rows."
        )
    return examples[cut:], examples[:cut]
