"""Batches for in-batch negatives: no two rows that answer each other, rows of like length together."""

import random
from collections.abc import Iterator, Sequence

from sentence_transformers.base.sampler import DefaultBatchSampler

# batches' worth of rows that are sorted by length together: enough to save the padding, few enough to stay random
_WINDOW = 20


def plan_batches(
    groups: Sequence[frozenset[str]], lengths: Sequence[int], batch_size: int, seed: int
) -> list[list[int]]:
    """Return one epoch of batches of row numbers, in which no two rows share a group.

    A row that collides moves to the next batch with room. Only where a group has more rows than there are batches do
    the surplus rows sit out this epoch; another seed leaves out others. (Where rows are in several groups, a few more
    may.)

    :param groups: what identifies each row's query and its passage.
    :param lengths: size of each row, in any unit.
    """
    order = list(range(len(groups)))
    rng = random.Random(seed)
    rng.shuffle(order)
    window = batch_size * _WINDOW
    order = [
        row
        for start in range(0, len(order), window)
        for row in sorted(order[start : start + window], key=lengths.__getitem__)
    ]
    count = -(-len(order) // batch_size)
    batches: list[list[int]] = [[] for _ in range(count)]
    taken: list[set[str]] = [set() for _ in range(count)]
    first_open = 0
    late = []
    for row in order:
        for batch in range(first_open, count):
            if len(batches[batch]) < batch_size and taken[batch].isdisjoint(groups[row]):
                batches[batch].append(row)
                taken[batch] |= groups[row]
                break
        else:
            late.append(row)
        while first_open < count and len(batches[first_open]) == batch_size:
            first_open += 1
    for row in late:
        _squeeze_in(row, batches, taken, groups, batch_size)
    batches = [batch for batch in batches if batch]
    rng.shuffle(batches)
    return batches


def _squeeze_in(
    row: int, batches: list[list[int]], taken: list[set[str]], groups: Sequence[frozenset[str]], batch_size: int
) -> None:
    """Place a row that collides in all batches with room: a row of a full batch moves to one of those instead."""
    for full, keys in enumerate(taken):
        if not keys.isdisjoint(groups[row]):
            continue
        for place, other in enumerate(batches[full]):
            for batch, present in enumerate(taken):
                if len(batches[batch]) < batch_size and present.isdisjoint(groups[other]):
                    batches[batch].append(other)
                    present |= groups[other]
                    batches[full][place] = row
                    keys -= groups[other]
                    keys |= groups[row]
                    return


class GroupAwareBatchSampler(DefaultBatchSampler):
    """The batches of `plan_batches` for sentence-transformers' trainer.

    They are a function of seed and epoch alone, so that a resumed run sees the same ones.

    :param groups: what identifies each row's query and its passage.
    :param lengths: size of each row.
    """

    def __init__(self, groups: Sequence[frozenset[str]], lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        super().__init__(range(len(groups)), batch_size=batch_size, drop_last=False, seed=seed)
        self.groups = groups
        self.lengths = lengths

    def __iter__(self) -> Iterator[list[int]]:
        yield from plan_batches(self.groups, self.lengths, self.batch_size, self.seed * 1000 + self.epoch)

    def __len__(self) -> int:
        return -(-len(self.groups) // self.batch_size)
