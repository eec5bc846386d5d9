"""Documents longer than the model's input, cut into passages as they will be served."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.encoder import SentenceEncoder
from haystack_lrl.languages.sentences import fill, split_sentences
from haystack_lrl.languages.table import Language


@dataclass(frozen=True)
class Passages:
    """The passages of a corpus, document by document.

    :param texts: all passages.
    :param starts: position of each document's first passage.
    :param cut: share of the corpus's tokens that the model would cut off if documents were not split.
    """

    texts: list[str]
    starts: npt.NDArray[np.intp]
    cut: float


def split_documents(documents: Sequence[str], encoder: SentenceEncoder, language: Language, *, split: bool) -> Passages:
    """Fill passages with whole sentences up to the model's input, only where a document is longer than that.

    A sentence that is itself too long is cut between words.

    :param split: False leaves documents whole, to be truncated by the model; the share is reported all the same.
    """
    budget = encoder.passage_budget
    counts = encoder.token_counts(documents)
    lost = sum(max(0, count - budget) for count in counts)
    texts: list[str] = []
    starts = []
    for document, count in zip(documents, counts, strict=True):
        starts.append(len(texts))
        fits = not split or count <= budget
        texts += [document] if fits else fill(_pieces(document, encoder, language, budget), budget)
    return Passages(texts, np.array(starts, dtype=np.intp), lost / max(1, sum(counts)))


def _pieces(document: str, encoder: SentenceEncoder, language: Language, budget: int) -> Iterator[tuple[str, int]]:
    """Yield sentences with their tokens; words, where a sentence does not fit by itself; halves, where a word does not.

    Halves are what languages written without spaces come down to.
    """
    yield from _cut(split_sentences(document, language), encoder, budget)


def _cut(texts: Sequence[str], encoder: SentenceEncoder, budget: int) -> Iterator[tuple[str, int]]:
    for text, count in zip(texts, encoder.token_counts(texts), strict=True):
        if count <= budget or len(text) < 2:
            yield text, count
        else:
            middle = len(text) // 2
            words = text.split()
            yield from _cut(words if len(words) > 1 else [text[:middle], text[middle:]], encoder, budget)
