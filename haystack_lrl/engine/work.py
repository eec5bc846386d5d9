"""What workers do: read parts, and make rows of their items with a model that each of them holds once."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

from haystack_lrl.engine.cluster import check_version
from haystack_lrl.engine.flow import Batch, told, values_of
from haystack_lrl.engine.shards import Shards
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.parts import Part, Row, lines_before, read_part
from haystack_lrl.records.store import settings_hash
from haystack_lrl.records.text import text_hash
from haystack_lrl.synthesis.jobs import Built, Job
from haystack_lrl.synthesis.making import make_rows

KEY = 10  # bytes of a key: half as many as its hex digits


@dataclass(frozen=True)
class Stretch:
    """What is read of a part.

    :param chosen: one byte a record, which says whether it was drawn; None takes all.
    :param wanted: one byte an item, which says whether it is to be made; None takes all.
    """

    part: Part
    chosen: bytes | None = None
    wanted: bytes | None = None


@dataclass(frozen=True)
class Survey:
    """What a part holds.

    :param rows: records in it, drawn or not.
    :param lines: lines or rows, blank ones too.
    :param keys: of its items, in order.
    """

    rows: int
    lines: int
    keys: bytes


@dataclass(frozen=True)
class Made:
    """Rows that were made of a batch.

    :param rows: keys and rows; none where a worker has written them itself.
    :param shard: the file that it wrote.
    :param keys: of the rows in it.
    :param rejected: how many of them by reason.
    :param used: requests and tokens.
    """

    rows: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    shard: str = ""
    keys: tuple[str, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)


def survey(batch: Batch, *, job: Job[Any, Any], settings: str, counting: bool) -> Iterator[Batch]:
    """Yield what parts hold.

    :param counting: only count, without a look at what rows hold.
    """
    return told(_surveyed(stretch, job, settings, counting=counting) for stretch in values_of(batch))


def _surveyed(stretch: Stretch, job: Job[Any, Any], settings: str, *, counting: bool) -> Survey:
    part, rows, last = stretch.part, 0, stretch.part.first

    def whole() -> Iterator[Row]:
        nonlocal last
        last = yield from read_part(part)

    def records() -> Iterator[Any]:
        nonlocal rows
        for row in whole():
            drawn = stretch.chosen is None or stretch.chosen[rows]
            rows += 1
            if drawn and not counting:
                yield job.record(row)

    try:
        keys = b"".join(bytes.fromhex(text_hash(settings, *job.content(item))) for item in job.items(records()))
    except InputError:
        if not part.start or part.first:
            raise
        # where a part begins is known when those before it are read: only now is it worth counting their lines
        return _surveyed(
            replace(stretch, part=replace(part, first=lines_before(part))), job, settings, counting=counting
        )
    return Survey(rows, last - part.first, keys)


def read_items(batch: Batch, *, job: Job[Any, Any], size: int) -> Iterator[Batch]:
    """Yield the items that are to be made, so many at a time."""
    return told(group for stretch in values_of(batch) for group in _grouped(_items(stretch, job), size))


def _items(stretch: Stretch, job: Job[Any, Any]) -> Iterator[Any]:
    rows: Iterable[Any] = read_part(stretch.part)
    if stretch.chosen is not None:
        rows = compress(rows, stretch.chosen)
    items = job.items(map(job.record, rows))
    return iter(items) if stretch.wanted is None else compress(items, stretch.wanted)


def _grouped(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    group: list[Any] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


class Worker:
    """Makes rows of items, and hands them over or writes them as shards.

    :param settings: the hash of those that the command has; a worker with others would spoil the output.
    :param version: of this package, which makes the rows.
    :param folder: where the command was called; paths in the job are relative to it.
    :param step: rows that are handed over at a time. By number and not by time: a worker that is made to repeat a
        batch must part it as before, since what of it was handed over is not asked for again.
    :param shards: where batches are written; None hands them over.
    """

    def __init__(
        self, job: Job[Any, Any], settings: str, version: str, folder: str, step: int, shards: Shards | None
    ) -> None:
        self.job = job
        self.settings = settings
        self.version = version
        self.folder = folder
        self.step = step
        self.shards = shards
        self._built: Built | None = None
        self._used: Counter[str] = Counter()

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Make the rows of a block's items."""
        return told(made for items in values_of(batch) for made in self._make(items))

    def _load(self) -> Built:
        """Build the job once; here and not in `__init__`, whose errors would not arrive as sentences."""
        if self._built is None:
            check_version(self.version)
            if os.path.isdir(self.folder):  # noqa: PTH112 - beside os.chdir
                os.chdir(self.folder)
            built = self.job.build()
            if settings_hash(built.settings) != self.settings:
                raise InputError(
                    f"The node {platform.node()} has another model, program or prompts than this command, or another "
                    "server answers there: put the same files at the same paths on every node."
                )
            self._built = built
        return self._built

    def _make(self, items: list[Any]) -> Iterator[Made]:
        built, rows = self._load(), _Rows(self.settings)
        step = len(items) if self.shards else self.step
        try:
            for _ in make_rows(items, built.making, rows):
                if len(rows.made) == step:
                    yield self._handed(rows, built)
        except InputError:
            if rows.made:  # what was made until then stays
                yield self._handed(rows, built)
            raise
        if rows.made:
            yield self._handed(rows, built)

    def _handed(self, rows: "_Rows", built: Built) -> Made:
        made, rows.made = tuple(rows.made), []
        total = Counter(built.usage())
        used, self._used = total - self._used, total
        if self.shards is None:
            return Made(made, used=used)
        rejected = Counter(str(row["reason"]) for _, row in made if row.get("reason"))
        return Made((), self.shards.write(made), tuple(key for key, _ in made), rejected, used)


@dataclass
class _Rows:
    """Stands in for the store on a worker: every item that comes is to be made."""

    settings: str
    keys: tuple[str, ...] = ()
    made: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def key(self, *content: str) -> str:
        return text_hash(self.settings, *content)

    def append(self, key: str, row: Mapping[str, Any]) -> None:
        self.made.append((key, row))
