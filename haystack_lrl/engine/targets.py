"""Where rows end up: one file that the command writes, or a folder of shards that the workers write."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from haystack_lrl.engine.flow import dataset, streamed
from haystack_lrl.engine.shards import Shards, find
from haystack_lrl.engine.work import Made
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.places import is_url
from haystack_lrl.records.store import Store, settings_hash
from haystack_lrl.synthesis.making import Intake, counted


class Target(Protocol):
    """An output that a killed run goes on with.

    `keys` are those of the rows that are there; `shards` is where workers write, None where rows come to the command.
    """

    keys: Keys
    shards: Shards | None

    def add(self, made: Made) -> int:
        """Take in what a worker made, and return how many new rows that were."""

    def finish(self, intake: Intake, what: str) -> Counts:
        """Complete the output, and return what became of every item.

        :raises InputError: when rows are missing, or are not of this input.
        """


def is_folder(output: str | Path) -> bool:
    """Tell whether an output is a folder of shards: a URL, a folder that is there, or a name that ends in a slash."""
    return is_url(output) or str(output).endswith("/") or Path(output).is_dir()


@contextmanager
def opened(output: str | Path, settings: Mapping[str, Any]) -> Iterator[Target]:
    """Open an output, with the rows of a run that was killed.

    :raises InputError: when it holds rows that were made with other settings.
    """
    if is_folder(output):
        place = str(output) if is_url(output) else str(Path(output).absolute())
        yield _Folder(Shards(place.rstrip("/"), settings_hash(settings)))
        return
    with Store(Path(output), settings) as store:
        yield _File(store)


class _File:
    """A store, as the local engine has it."""

    shards: Shards | None = None

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keys = store.keys

    def add(self, made: Made) -> int:
        new = 0
        for key, row in made.rows:
            if key not in self.keys:
                self.store.append(key, row)
                new += 1
        return new

    def finish(self, intake: Intake, what: str) -> Counts:
        _check(intake, len(self.keys), self.store.path, what)
        self.store.complete()
        return counted(self.store.path, intake)


class _Folder:
    """Shards, of whose rows the command sees keys and counts."""

    def __init__(self, shards: Shards) -> None:
        self.shards: Shards | None = shards
        self.keys = Keys()
        self._place = shards
        self._names: set[str] = set()
        self._rejected: Counter[str] = Counter()
        if names := shards.found():
            for found in streamed(dataset(names).map_batches(find, fn_kwargs={"shards": shards}, batch_size=None)):
                self._take(found.name, found.keys, found.rejected)
        shards.begin()  # only now: a folder that is refused stays finished

    def add(self, made: Made) -> int:
        before = len(self.keys)
        self._take(made.shard, made.keys, made.rejected)
        return len(self.keys) - before

    def _take(self, name: str, keys: tuple[str, ...], rejected: Mapping[str, int]) -> None:
        if name in self._names:  # a worker was made to repeat what it had done
            return
        if sum(map(self.keys.add, keys)) < len(keys):
            raise InputError(f"{self._place.folder}/{name} holds rows of another shard too: delete it, and run again.")
        self._names.add(name)
        self._rejected.update(rejected)

    def finish(self, intake: Intake, what: str) -> Counts:
        _check(intake, len(self.keys), self._place.folder, what)
        counts = Counts(len(self.keys), len(self.keys) - self._rejected.total(), self._rejected.copy())
        counts.reject("duplicate", intake.taken - intake.distinct)
        self._place.finish(self._names, counts)
        self.keys.close()
        return counts


def _check(intake: Intake, rows: int, output: object, what: str) -> None:
    if intake.distinct > rows:
        raise InputError(
            f"{output} has {rows} rows of {intake.distinct}: files changed while they were read; run the same command "
            "again."
        )
    intake.check(rows, output, what)
