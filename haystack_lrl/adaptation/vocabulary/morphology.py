"""What words outside the lexicon probably mean, by what they are made of.

A ridge regression from the character n-grams of the lexicon's words to their vectors: the idea of fastText's n-grams
(arXiv 1607.04606), fitted to vectors that are there already. It reads prefixes, stems and endings of any language
without being told which these are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from haystack_lrl.encoding.encoder import Vectors

_LENGTHS = (3, 6)  # of n-grams, the marks at a word's ends included
_PENALTY = 0.5
_MOST_STEPS = 30  # of the solver, after which held-out words get no nearer
_FEWEST_WORDS = 200  # below, n-grams say next to nothing of other words
_SHORTEST_STEM = 3
_SHARED = 3  # words that a stem must begin


class Morphology:
    """Predict the vectors of words from their n-grams.

    :param words: the lexicon's words, as the tokenizer looks them up.
    :param vectors: theirs, shape (words, dimensions).
    :param seen: how often each was seen: a word seen often has the better vector.
    """

    def __init__(self, words: Sequence[str], vectors: Vectors, seen: Sequence[int]) -> None:
        self._grams = TfidfVectorizer(
            analyzer="char", ngram_range=_LENGTHS, sublinear_tf=True, lowercase=False, preprocessor=str
        )
        self._ridge = Ridge(alpha=_PENALTY, solver="sparse_cg", max_iter=_MOST_STEPS, tol=1e-3)
        self._ridge.fit(self._grams.fit_transform(map(_closed, words)), vectors, sample_weight=np.log1p(seen))

    @staticmethod
    def can_learn(words: Sequence[str]) -> bool:
        """Tell whether there are enough words to learn from."""
        return len(words) >= _FEWEST_WORDS

    def words(self, words: Sequence[str]) -> Vectors:
        """Return the probable vector of each word, shape (words, dimensions)."""
        return self._predicted(map(_closed, words), len(words))

    def stems(self, stems: Sequence[str]) -> Vectors:
        """Return the probable vector of words that begin so, whatever they end in."""
        return self._predicted((f"<{stem}" for stem in stems), len(stems))

    def _predicted(self, texts: Iterable[str], count: int) -> Vectors:
        if not count:
            return np.zeros((0, self._ridge.coef_.shape[0]), dtype=np.float32)
        predicted: npt.NDArray[np.float64] = self._ridge.predict(self._grams.transform(texts))
        return predicted.astype(np.float32)


def shared_stems(words: Iterable[str]) -> list[str]:
    """Return the beginnings that several words share, and that more of them share than any longer one."""
    begun: Counter[str] = Counter(
        word[:length] for word in set(words) for length in range(_SHORTEST_STEM, len(word) + 1)
    )
    longer: dict[str, int] = {}
    for stem, count in begun.items():
        if len(stem) > _SHORTEST_STEM:
            longer[stem[:-1]] = max(longer.get(stem[:-1], 0), count)
    return [stem for stem, count in begun.items() if count >= _SHARED and count > longer.get(stem, 0)]


def shrunk(vectors: Vectors, predicted: Vectors, seen: Sequence[int]) -> Vectors:
    """Move vectors towards what morphology predicts, the more so the less often their words were seen."""
    trust = np.array(seen, dtype=np.float32)[:, None]
    return (trust * vectors + predicted) / (trust + 1)


def known_words(counts: Mapping[str, int], fewest: int) -> Mapping[str, int]:
    """Return the words that came often enough to be words."""
    return {word: count for word, count in counts.items() if count >= fewest}


def _closed(word: str) -> str:
    return f"<{word}>"
