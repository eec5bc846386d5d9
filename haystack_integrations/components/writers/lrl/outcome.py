"""What became of the documents that were given to a store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """A document that the store does not take, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of each document; the three add up to what was given.

    :param written: new or written over.
    :param existing: left as they were in the store, or given twice.
    :param refused: not in the store.
    """

    written: int = 0
    existing: int = 0
    refused: tuple[Refused, ...] = ()

    def __add__(self, other: "Written") -> "Written":
        return Written(self.written + other.written, self.existing + other.existing, self.refused + other.refused)
