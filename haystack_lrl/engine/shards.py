"""A folder of shards: each is written whole by one worker, here or in an object store, and holds rows with their keys.

Until every row is there the folder has a file `_unfinished`, and nothing reads it; then it has a `_manifest.json`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from haystack_lrl.engine.flow import Batch, told, values_of
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import dump_line
from haystack_lrl.records.parts import Part, read_part
from haystack_lrl.records.places import UNFINISHED, listed, make_folder, put, remove
from haystack_lrl.records.text import text_hash

_MANIFEST = "_manifest.json"


@dataclass(frozen=True)
class Shards:
    """Where shards go, as workers know it.

    :param folder: path or URL, without a slash at its end.
    :param settings: the hash that every row carries, as in a `Store`.
    """

    folder: str
    settings: str

    def write(self, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Write rows and return the name of their file, which is the same whenever the same rows are written."""
        name = f"part-{text_hash(*(key for key, _ in rows))}.jsonl"
        lines = (dump_line({"key": key, "settings": self.settings, **row}) for key, row in rows)
        put(f"{self.folder}/{name}", "".join(lines).encode())
        return name

    def found(self) -> list[str]:
        """Make the folder where there is none, and return the names of its shards.

        :raises InputError: when it holds files that are not shards.
        """
        make_folder(self.folder)
        names = self._names()
        if others := [name for name in names if not name.startswith(("part-", "_"))]:
            raise InputError(f"{self.folder} holds {others[0]}, which is not of this command: use another --output.")
        return [name for name in names if name.startswith("part-") and name.endswith(".jsonl")]

    def begin(self) -> None:
        """Say that rows are missing."""
        put(f"{self.folder}/{UNFINISHED}", b"")

    def finish(self, shards: set[str], counts: Counts) -> None:
        """Say that every row is there.

        A shard that nobody knows was written by a worker that outlived its command: others have its rows as well.
        """
        for name in self._names():
            if name.startswith("part-") and name not in shards:
                remove(f"{self.folder}/{name}")
        facts = {"settings": self.settings, "shards": len(shards), **counts.to_json()}
        put(f"{self.folder}/{_MANIFEST}", (json.dumps(facts, ensure_ascii=False, indent=2) + "\n").encode())
        remove(f"{self.folder}/{UNFINISHED}")

    def _names(self) -> list[str]:
        return [path.removeprefix(f"{self.folder}/") for path in listed(self.folder)]


@dataclass(frozen=True)
class Found:
    """What a shard of an earlier run holds."""

    name: str
    keys: tuple[str, ...]
    rejected: Mapping[str, int] = field(default_factory=dict)


def find(batch: Batch, *, shards: Shards) -> Iterator[Batch]:
    """Yield what shards hold."""
    return told(_found(name, shards) for name in values_of(batch))


def _found(name: str, shards: Shards) -> Found:
    keys: list[str] = []
    rejected: Counter[str] = Counter()
    for row in read_part(Part(f"{shards.folder}/{name}")):
        if row.values.get("settings") != shards.settings:
            raise InputError(
                f"{row.where} was made with other settings than those asked for now: use another output path, or "
                "delete the folder to start again."
            )
        keys.append(str(row.values["key"]))
        rejected.update([str(row.values["reason"])] if row.values.get("reason") else [])
    return Found(name, tuple(keys), rejected)
