"""Translations that were made before, elsewhere or by hand."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import file_hash
from haystack_lrl.records.pair import read_pairs
from haystack_lrl.synthesis.translator import Texts, Unusable


@dataclass(frozen=True)
class LookupTranslator:
    """A file of translated pairs as a translator: what `translate` wrote, or what has the same columns.

    :param path: JSONL file with query, passage, english_query and english_passage.
    :raises InputError: when it is not there.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise InputError(f"{self.path} is not a file with translated pairs: check the path.")

    @property
    def identity(self) -> Mapping[str, Any]:
        """The content of the file."""
        return {"file": file_hash(self.path)}

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield each pair's translation; a pair that the file does not hold is unusable.

        :raises InputError: with path and line for a row that is not a pair.
        """
        known = {(p.english_query, p.english_passage): (p.query, p.passage) for p in read_pairs(self.path)}
        for item in items:
            yield known.get((item[0], item[-1]), Unusable("no translation in the file", ""))
