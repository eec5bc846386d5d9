"""One ranking of two: scores on a common scale, added with weights."""

from collections.abc import Mapping


def fuse_scores(
    lexical: Mapping[str, float], dense: Mapping[str, float], weight: float, *, floor: float = 0.0
) -> dict[str, float]:
    """Add both scores of each document, each as a share of its ranking's best; a document not found scores 0.

    Scaled from what a score means where nothing fits, and not from the lowest of the ranking, a sum does not depend on
    how many documents were ranked (Bruch, Gai and Ingber, TOIS 2023, call that theoretical min-max).

    :param lexical: score by document id, 0 where no word is shared.
    :param dense: score by document id.
    :param weight: share of the dense score.
    :param floor: what `dense` gives to a document that has nothing to do with the query: 0 for a cosine.
    :returns: the sum by document id, 1 at most: first those of `lexical` in their order, then those of `dense` alone.
    """
    scores: dict[str, float] = {}
    for ranking, share, lowest in ((lexical, 1 - weight, 0.0), (dense, weight, floor)):
        best = max(ranking.values(), default=lowest) - lowest
        for document, score in ranking.items():
            scores[document] = scores.get(document, 0.0) + (share * (score - lowest) / best if best > 0 else 0.0)
    return scores
