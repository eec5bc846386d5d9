"""One ranking of two: scores on a common scale, added with weights."""

from collections.abc import Mapping


def fuse_scores(lexical: Mapping[str, float], dense: Mapping[str, float], weight: float) -> dict[str, float]:
    """Add both scores of each document, each scaled to 0..1 over its own ranking; a document not found scores 0.

    :param lexical: score by document id.
    :param dense: score by document id.
    :param weight: share of the dense score.
    :returns: the sum by document id, 0..1: first those of `lexical` in their order, then those of `dense` alone.
    """
    scores: dict[str, float] = {}
    for ranking, share in ((lexical, 1 - weight), (dense, weight)):
        for document, score in _scaled(ranking).items():
            scores[document] = scores.get(document, 0.0) + share * score
    return scores


def _scaled(ranking: Mapping[str, float]) -> dict[str, float]:
    if not ranking:
        return {}
    low, high = min(ranking.values()), max(ranking.values())
    return {document: (score - low) / (high - low) if high > low else 1.0 for document, score in ranking.items()}
