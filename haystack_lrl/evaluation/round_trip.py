"""Consistency of made questions: each must find the passage that it was asked about (Promptagator, arXiv 2209.11755).

The check favours what checks. A question that only a system of another kind would answer is thrown away, so that this
kind looks weaker, and the checking one stronger, than on people's questions. Two unlike finders, of which one is
enough, and a depth well below the ranks that a metric looks at, make that smaller; they do not remove it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.encoding.lexical import LexicalIndex
from haystack_lrl.encoding.nearest import Nearest
from haystack_lrl.encoding.search import top_k
from haystack_lrl.evaluation.passages import split_documents
from haystack_lrl.languages.table import Language
from haystack_lrl.languages.tokens import search_tokens

Finder = Literal["BM25", "scorer"]


class RoundTrip:
    """A corpus in which questions look for their passages; it is indexed once.

    :param passages: text by id.
    :param spoken: whose search tokens BM25 compares.
    :param scorer: a second finder; None leaves BM25 alone, which keeps only questions that share words with their
        passage.
    :param depth: the passage must be among so many.
    """

    def __init__(
        self, passages: Mapping[str, str], spoken: Language, scorer: SentenceEncoder | None = None, depth: int = 20
    ) -> None:
        self._places = {name: place for place, name in enumerate(passages)}
        self._language = spoken
        self._scorer = scorer
        self._depth = depth
        self._lexical = LexicalIndex(search_tokens(text, spoken) for text in passages.values())
        if scorer is not None:
            parts = split_documents(list(passages.values()), scorer, spoken, split=True)
            self._starts = parts.starts
            self._vectors = scorer.encode(parts.texts, "passage")

    def found_by(self, questions: Sequence[str], passages: Sequence[str]) -> list[tuple[Finder, ...]]:
        """Return which finders have each question's passage among the best: none, one or both.

        :param passages: id of the passage that each question was asked about.
        """
        if not questions:
            return []
        wanted = np.array([self._places[name] for name in passages])[:, None]
        hits: dict[Finder, npt.NDArray[np.bool_]] = {"BM25": (self._by_words(questions) == wanted).any(axis=1)}
        if self._scorer is not None:
            vectors = self._scorer.encode(questions, "query")
            hits["scorer"] = (top_k(vectors, self._vectors, self._depth, self._starts)[1] == wanted).any(axis=1)
        return [tuple(name for name, hit in hits.items() if hit[row]) for row in range(len(questions))]

    def _by_words(self, questions: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the places of the best passages by BM25, of shape (questions, depth); -1 where no word is common."""
        best = Nearest(len(questions), self._depth, floor=0)
        for start, scores in self._lexical.blocks([search_tokens(text, self._language) for text in questions]):
            best.add(start, scores)
        return best.found
