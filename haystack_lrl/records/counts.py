"""Row accounting: every row that enters a stage is kept or rejected with a reason."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counts:
    """What became of the rows of one stage."""

    rows: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def keep(self) -> None:
        """Count a row that goes on."""
        self.rows += 1
        self.kept += 1

    def reject(self, reason: str, rows: int = 1) -> None:
        """Count rows that end here."""
        self.rows += rows
        self.rejected.update({reason: rows} if rows else {})

    def to_json(self) -> dict[str, Any]:
        """Return the counts for the manifest.

        :raises AssertionError: when rows in and rows out differ, which is a bug.
        """
        if self.rows != self.kept + self.rejected.total():
            raise AssertionError(f"{self.rows} rows in, {self.kept} kept and {self.rejected.total()} rejected")
        return {"rows": self.rows, "kept": self.kept, "rejected": dict(self.rejected.most_common())}
