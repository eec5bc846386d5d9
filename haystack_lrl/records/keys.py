"""A set of keys that may outgrow the memory."""

import sqlite3
from collections.abc import Iterator


class Keys:
    """A set of strings in a temporary file: a million keys cost no more memory than ten thousand.

    SQLite makes the file, keeps a few megabytes of it in memory and deletes it at the end.
    """

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)  # the empty name means: temporary, on disk
        self._base.execute("CREATE TABLE keys (key TEXT PRIMARY KEY) WITHOUT ROWID")
        self._base.execute("BEGIN")  # never committed: nothing has to survive this process
        self._count = 0

    def add(self, key: str) -> bool:
        """Add a key and tell whether it is new."""
        new = self._base.execute("INSERT OR IGNORE INTO keys VALUES (?)", (key,)).rowcount == 1
        self._count += new
        return new

    def __contains__(self, key: object) -> bool:
        return self._base.execute("SELECT 1 FROM keys WHERE key = ?", (key,)).fetchone() is not None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (key for (key,) in self._base.execute("SELECT key FROM keys"))

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()
