"""What became of every document and every passage that was to be indexed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from haystack_integrations.components.writers.lrl import Refused, Written

_SHOWN = 100


@dataclass
class IndexCounts:
    """What was read, and what became of it.

    :param read: documents.
    :param indexed: documents that were split into passages.
    :param empty: documents without text.
    :param duplicates: documents that were given twice.
    :param unreadable: documents that are refused before they are split.
    :param passages: of all documents that were split.
    :param written: passages that are new in the store.
    :param existing: passages that were there already and so were not embedded again.
    :param failed: passages that the store refused.
    :param deleted: passages of earlier versions of these documents.
    :param failures: ids and reasons of the first hundred documents and passages that failed; the log has all.
    """

    read: int = 0
    indexed: int = 0
    empty: int = 0
    duplicates: int = 0
    unreadable: int = 0
    passages: int = 0
    written: int = 0
    existing: int = 0
    failed: int = 0
    deleted: int = 0
    failures: list[Refused] = field(default_factory=list)

    def add(self, written: Written) -> None:
        """Count what became of passages."""
        self.written += written.written
        self.existing += written.existing
        self.failed += len(written.refused)
        self.note(written.refused)

    def merge(self, other: "IndexCounts") -> None:
        """Count what became of other documents and passages."""
        for name, count in vars(other).items():
            if name != "failures":
                setattr(self, name, getattr(self, name) + count)
        self.note(other.failures)

    def note(self, failures: Sequence[Refused]) -> None:
        """Keep the first failures."""
        self.failures.extend(failures[: max(0, _SHOWN - len(self.failures))])

    def to_json(self) -> dict[str, Any]:
        """Return the counts.

        :raises AssertionError: when they do not add up, which is a bug.
        """
        if self.read != self.indexed + self.empty + self.duplicates + self.unreadable:
            raise AssertionError(f"documents do not add up: {self}")
        if self.passages != self.written + self.existing + self.failed:
            raise AssertionError(f"passages do not add up: {self}")
        return asdict(self)
