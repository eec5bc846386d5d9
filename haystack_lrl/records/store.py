"""The append-only store that lets a killed run go on where it stopped."""

import json
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line, read_jsonl, sync_folder
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.text import text_hash

_SYNC_EVERY = 500  # rows: what a power cut may cost; a killed process loses none, each row is flushed


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Return 20 hex digits that change with any setting."""
    return text_hash(json.dumps(settings, sort_keys=True, ensure_ascii=False))


class Store:
    """JSON lines keyed by content and settings, at PATH.partial until `complete`, then at PATH.

    A line carries `key` and `settings`; a torn last line (the process was killed while writing) is cut off when
    the store is opened, and its row is simply made again.

    :param path: where the complete file will lie.
    :param settings: everything that makes a row differ (model, prompt, options), as JSON values.
    :raises InputError: when rows at this path were made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.settings = settings_hash(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        resumed = self.partial.exists() or not path.exists()
        self.keys = self._load(self.partial if resumed else path)
        if not resumed:  # only now: a file that is refused keeps its name
            path.rename(self.partial)
        self._file = self.partial.open("a", encoding="utf-8")
        self._unsynced = 0

    def _load(self, path: Path) -> Keys:
        keys = Keys()
        if not path.exists():
            return keys
        if path == self.partial:
            _cut_torn_line(path)
        for number, row in read_jsonl(path):
            if row.get("settings") != self.settings:
                raise InputError(
                    f"{path} line {number} was made with other settings than those asked for now: "
                    "use another output path, or delete the file to start again."
                )
            keys.add(row["key"])
        return keys

    def key(self, *content: str) -> str:
        """Return the key of a row made from this content with the store's settings."""
        return text_hash(self.settings, *content)

    def append(self, key: str, row: Mapping[str, Any]) -> None:
        """Write one row that survives the death of this process.

        :raises ValueError: when the key is already there, which would repeat a row.
        """
        if not self.keys.add(key):
            raise ValueError(f"{self.partial} already holds the row {key}")
        self._file.write(dump_line({"key": key, "settings": self.settings, **row}))
        self._file.flush()
        self._unsynced += 1
        if self._unsynced >= _SYNC_EVERY:
            self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in the order in which they were written."""
        self._file.flush()
        for _, row in read_jsonl(self.partial):
            yield row

    def complete(self) -> None:
        """Say that every row is there: the file takes its final name."""
        self.close()
        self.partial.replace(self.path)
        sync_folder(self.path.parent)

    def close(self) -> None:
        """Write everything to the disk and let go of the file."""
        if self._file.closed:
            return
        try:
            self._file.flush()
            self._sync()
        finally:  # a full disk is no reason to hold the file
            self.keys.close()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cut_torn_line(path: Path) -> None:
    """Cut what follows the last newline: the row that was being written when the process died."""
    size = path.stat().st_size
    if not size:
        return
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            whole = content.rfind(b"\n") + 1
        if whole < size:
            file.truncate(whole)
