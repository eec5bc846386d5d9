"""Rows made one from another: what is in the store is not made again, and every row taken in is accounted for."""

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tqdm import tqdm

from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.jsonl import read_jsonl
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.store import Store

_SAMPLE = 8  # rows of an estimate


class Row(Protocol):
    """A record that can be written; rejected when it has a reason."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""


Item = TypeVar("Item")
Result = TypeVar("Result")
Made = TypeVar("Made", bound=Row)


@dataclass(frozen=True)
class Making(Generic[Item, Result, Made]):
    """How items become rows.

    :param who: what makes them, for errors.
    :param content: what of an item makes its row differ, beyond the store's settings.
    :param make: yields one result an item, in order and while items still come in.
    :param row: what is written of an item and its result.
    """

    who: str
    content: Callable[[Item], tuple[str, ...]]
    make: Callable[[Iterable[Item]], Iterator[Result]]
    row: Callable[[Item, Result], Made]


class Kept(Protocol):
    """Where rows go by their keys: a `Store`, or what stands in for it on a worker.

    `keys` are those of the rows that are there.
    """

    @property
    def keys(self) -> Container[str]:
        """What is not made again."""

    def key(self, *content: str) -> str:
        """Return the key of a row made from this content."""

    def append(self, key: str, row: Mapping[str, Any]) -> None:
        """Keep one row."""


@dataclass
class Intake:
    """What was taken in so far: how many items, and the distinct ones among them."""

    taken: int = 0
    seen: Keys = field(default_factory=Keys)

    def take(self, key: str) -> bool:
        """Count an item and tell whether it is the first with its key."""
        self.taken += 1
        return self.seen.add(key)

    @property
    def distinct(self) -> int:
        """How many different items there were."""
        return len(self.seen)

    def check(self, rows: int, output: object, what: str) -> None:
        """Compare everything that was taken in with the rows of an output.

        :raises InputError: when there was nothing, or the output holds rows of another input.
        """
        if not self.taken:
            raise InputError(f"There is nothing to {what}: the input holds no rows.")
        if extra := rows - self.distinct:
            raise InputError(f"{output} holds {extra} rows that are not of this input: use another --output.")


def make(items: Sequence[Item], making: Making[Item, Result, Made]) -> Iterator[Made]:
    """Yield a row for each item, without a store."""
    return (making.row(*made) for made in zip(items, making.make(items), strict=True))


def make_rows(
    items: Iterable[Item], making: Making[Item, Result, Made], store: Kept, intake: Intake | None = None
) -> Iterator[Made]:
    """Yield a row for each item that the store does not hold yet; it is in the store before it is yielded.

    An item that comes twice is made once.

    :raises InputError: when there is not one result an item; rows made until then are kept.
    """
    waiting: OrderedDict[str, Item] = OrderedDict()
    intake = intake or Intake()
    sent = done = 0

    def new() -> Iterator[Item]:
        nonlocal sent
        for item in items:
            key = store.key(*making.content(item))
            if intake.take(key) and key not in store.keys:
                waiting[key] = item
                sent += 1
                yield item

    source = new()
    for result in making.make(source):
        if not waiting:
            raise _miscounted(making.who, sent, done + 1)
        key, item = waiting.popitem(last=False)
        row = making.row(item, result)
        store.append(key, row.to_json())
        done += 1
        yield row
    for _ in source:  # what a maker that stopped early never took
        pass
    if waiting:
        raise _miscounted(making.who, sent, done)


def _miscounted(who: str, sent: int, results: int) -> InputError:
    return InputError(
        f"{who} gave {results} results for {sent} rows, but must give one for each, in order: mend it, and delete "
        "the rows made with it, since they may belong to other rows."
    )


def make_file(
    items: Iterable[Item],
    making: Making[Item, Result, Made],
    output: Path,
    settings: Mapping[str, Any],
    *,
    total: int | None = None,
    what: str = "make",
    progress: bool = True,
) -> Counts:
    """Make one file of rows, going on where a killed run stopped.

    :param settings: everything that makes a row differ beyond its item (model, prompt, options), as JSON values.
    :param total: how many items there are, for the progress bar.
    :raises InputError: when there are no items, the file holds rows of others, or the maker fails; rows made stay.
    """
    with Store(output, settings) as store, closing(Keys()) as seen:
        intake = Intake(seen=seen)
        bar = tqdm(total=total, initial=len(store.keys), desc=what, unit="row", disable=not progress)
        for _ in make_rows(items, making, store, intake):
            bar.update()
        bar.close()
        intake.check(len(store.keys), output, what)
        store.complete()
    return counted(output, intake)


def counted(output: Path, intake: Intake) -> Counts:
    """Return what became of everything that was taken in."""
    counts = Counts()
    for _, row in read_jsonl(output):
        counts.reject(str(row["reason"])) if row.get("reason") else counts.keep()
    counts.reject("duplicate", intake.taken - intake.distinct)
    return counts


def estimate(
    items: Iterable[Item], making: Making[Item, Result, Made], total: int, usage: Callable[[], Mapping[str, int]]
) -> str:
    """Make a few rows, keep none, and say how long all will take.

    :param total: how many items there are.
    :param usage: returns the tokens that the maker counted; nothing for makers that count none.
    """
    sample = list(itertools.islice(items, _SAMPLE))
    if not sample:
        raise InputError("There is nothing to estimate from: the input holds no rows.")
    start = time.monotonic()
    rejected = sum("reason" in row.to_json() for row in make(sample, making))
    seconds = (time.monotonic() - start) / len(sample)
    lines = [
        f"{60 / seconds:,.0f} rows per minute, measured on {len(sample)} rows, {rejected} of which were rejected",
        f"{span(total * seconds)} for {total:,} rows",
    ]
    used = usage()
    for name in ("prompt_tokens", "completion_tokens"):
        if count := used.get(name):
            lines.append(
                f"{count / len(sample) * total:,.0f} {name.replace('_', ' ')} ({count / len(sample):.0f} a row)"
            )
    return "\n".join(lines)


def span(seconds: float) -> str:
    """Return a time in words short enough for a table."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
