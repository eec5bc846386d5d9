"""Hard negatives, chosen on the English side where there is one.

A base model that reads the language badly would choose its own mistakes; on the English side of translated pairs it
chooses what it understands (positive-aware margin of NV-Retriever, arXiv 2407.15831).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from haystack_lrl.encoding.encoder import Encoder, Vectors
from haystack_lrl.encoding.search import top_k
from haystack_lrl.records.pair import Pair, Triplet


@dataclass(frozen=True)
class MiningSettings:
    """How hard negatives are chosen.

    :param negatives: hard negatives a pair; 0 leaves mining out.
    :param margin: a negative must score below this share of the positive's score.
    :param depth: how many of the nearest passages are looked at.
    """

    negatives: int = 0
    margin: float = 0.95
    depth: int = 50

    def __post_init__(self) -> None:
        if self.negatives < 0:
            raise ValueError(f"mining.negatives is {self.negatives}, but must be 0 or above")
        if not 0 < self.margin <= 1:
            raise ValueError(f"mining.margin is {self.margin}, but must be above 0 and up to 1")
        if self.depth < 1:
            raise ValueError(f"mining.depth is {self.depth}, but must be above 0")


def mine(pairs: Sequence[Pair], encoder: Encoder, settings: MiningSettings) -> Iterator[Triplet]:
    """Yield every pair with up to `negatives` hard negatives, fewer where the margin leaves fewer.

    Cosines are compared after subtracting the mean cosine of unrelated texts, since on models whose cosines all lie
    in 0.7-1.0 a bare ratio would reject every negative.
    """
    sides = [pair.in_english() if pair.english_passage else pair for pair in pairs]
    first: dict[str, int] = {}
    for row, pair in enumerate(pairs):
        first.setdefault(pair.group, row)
    rows = list(first.values())
    position = {group: place for place, group in enumerate(first)}
    answers: dict[str, set[int]] = {}  # a query may have several, none of which is its negative
    for side, pair in zip(sides, pairs, strict=True):
        answers.setdefault(side.query, set()).add(position[pair.group])
    queries = encoder.encode([side.query for side in sides], "query")
    passages = encoder.encode([sides[row].passage for row in rows], "passage")
    scores, found = top_k(queries, passages, settings.depth)
    unrelated = _unrelated(queries, passages)
    for row, pair in enumerate(pairs):
        own = position[pair.group]
        limit = unrelated + settings.margin * (float(queries[row] @ passages[own]) - unrelated)
        known = answers[sides[row].query]
        chosen = [p for p, score in zip(found[row], scores[row], strict=True) if p not in known and score < limit]
        yield Triplet(pair, tuple(pairs[rows[p]].passage for p in chosen[: settings.negatives]))


def _unrelated(queries: Vectors, passages: Vectors) -> float:
    """Return the mean cosine of queries and passages taken at random, which is that of their means."""
    return float(np.mean(queries, axis=0) @ np.mean(passages, axis=0))
