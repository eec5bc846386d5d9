"""Make one ranking of the documents that two retrievers found."""

from dataclasses import replace
from typing import Literal, get_args

from haystack import Document, component
from haystack.components.joiners import DocumentJoiner

from haystack_lrl.encoding.fusion import fuse_scores
from haystack_lrl.records.errors import InputError

Fusion = Literal["scores", "reciprocal-rank"]


@component
class LRLDocumentJoiner:
    """Fuse a ranking by words and a ranking by vectors; documents of equal score keep their order, by words first.

    :param fusion: `scores` adds both scores, each as a share of its ranking's best, as `haystack-lrl evaluate` does;
        `reciprocal-rank` adds 1 / (60 + rank) of both (Cormack, Clarke and Büttcher, SIGIR 2009), scaled to 0..1, as
        Haystack's DocumentJoiner does.
    :param dense_weight: share of the ranking by vectors, 0..1.
    :param top_k: the most documents that are returned; None returns all.
    :param dense_floor: score by vectors of a document that has nothing to do with the query: 0 for a cosine, as memory
        gives, 0.5 for OpenSearch's `cosinesimil`, which is half of one plus the cosine.
    :raises InputError: for another fusion, a share outside 0..1, and a `top_k` below 1.
    """

    def __init__(
        self, fusion: Fusion = "scores", dense_weight: float = 0.5, top_k: int | None = 10, dense_floor: float = 0.0
    ) -> None:
        if fusion not in get_args(Fusion):
            raise InputError(f"fusion={fusion!r} is not known: choose one of {', '.join(get_args(Fusion))}.")
        if not 0 <= dense_weight <= 1:
            raise InputError(f"dense_weight={dense_weight!r} is not a share: choose one from 0 to 1.")
        self.fusion = fusion
        self.dense_weight = dense_weight
        self.top_k = _checked(top_k)
        self.dense_floor = dense_floor

    @component.output_types(documents=list[Document])
    def run(
        self, lexical: list[Document], dense: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the documents of both, best first, with the fused score; what comes in stays as it is.

        :param lexical: found by words, best first, with scores.
        :param dense: found by vectors, best first, with scores.
        :param top_k: in place of the joiner's own.
        :raises InputError: for a `top_k` below 1 and, with `scores`, a document without a score.
        """
        most = self.top_k if top_k is None else _checked(top_k)
        join = self._by_scores if self.fusion == "scores" else self._by_ranks
        return {"documents": join(lexical, dense)[:most]}

    def _by_scores(self, lexical: list[Document], dense: list[Document]) -> list[Document]:
        found = {document.id: document for document in [*dense, *lexical]}
        scores = fuse_scores(_scores(lexical), _scores(dense), self.dense_weight, floor=self.dense_floor)
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        return [replace(found[name], score=score) for name, score in ranked]

    def _by_ranks(self, lexical: list[Document], dense: list[Document]) -> list[Document]:
        joiner = DocumentJoiner("reciprocal_rank_fusion", weights=[1 - self.dense_weight, self.dense_weight])
        documents: list[Document] = joiner.run([lexical, dense])["documents"]
        return documents


def _checked(top_k: int | None) -> int | None:
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k={top_k!r} asks for no document: choose at least 1.")
    return top_k


def _scores(documents: list[Document]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for document in documents:
        if document.score is None:
            raise InputError(
                f"The document {document.id!r} has no score to be fused: connect a retriever, "
                "or join with fusion='reciprocal-rank'."
            )
        scores[document.id] = document.score
    return scores
