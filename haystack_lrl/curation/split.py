"""Training, dev and held-out pairs, split by passage."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from haystack_lrl.records.pair import Pair
from haystack_lrl.records.text import text_hash


@dataclass
class Split:
    """Pairs that share no passage across the three parts."""

    train: list[Pair] = field(default_factory=list)
    dev: list[Pair] = field(default_factory=list)
    held_out: list[Pair] = field(default_factory=list)


def split_pairs(pairs: Iterable[Pair], *, dev: int, held_out: int, seed: int) -> Split:
    """Set whole passages aside: about `held_out` pairs, then about `dev`, the rest is for training.

    The order of passages depends on their texts and the seed alone: added seeds may move some from held out to dev and
    from dev to training, and never back.
    """
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.group, []).append(pair)
    split = Split()
    for group in sorted(groups, key=lambda g: text_hash(str(seed), g)):
        if len(split.held_out) < held_out:
            split.held_out += groups[group]
        elif len(split.dev) < dev:
            split.dev += groups[group]
        else:
            split.train += groups[group]
    return split


def one_a_passage(pairs: Iterable[Pair]) -> list[Pair]:
    """Keep the first pair of every passage and of every query: as a test set, each query then has one right answer."""
    groups: set[str] = set()
    queries: set[str] = set()
    kept = []
    for pair in pairs:
        if pair.group not in groups and pair.query not in queries:
            groups.add(pair.group)
            queries.add(pair.query)
            kept.append(pair)
    return kept
