"""Which English words a word of the language stands for, aligned out of translated pairs.

IBM model 1 (Brown et al., 1993) with a band around the diagonal: a word is aligned with the English words at about the
same relative position, since passages are long and translations keep their order. Where a language inflects, most words
come once or twice; they share what is known of words that begin alike (Och and Ney, 2003, smooth with stems likewise).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haystack_lrl.records.pair import Pair

_BAND = 6  # words to each side of the diagonal
_ITERATIONS = 5
_STEM = 5  # letters; and what share of a word's chances comes from all words that begin alike, in both languages
_SHARED = 0.8
_MOST_PAIRS = 20_000  # beyond this, the words that matter have been seen often enough

Words = Sequence[str]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Entry:
    """A word of the language and what it stands for.

    :param seen: how often it came.
    :param english: (English word, probability), most probable first.
    """

    word: str
    seen: int
    english: tuple[tuple[str, float], ...]


def align(pairs: Iterable[Pair], words_of: Callable[[str], Words], *, most: int = 3, rarest: int = 2) -> list[Entry]:
    """Return every word of the language that came often enough, with its most probable English words.

    :param words_of: cuts a text into words, as the tokenizer of the model does.
    :param most: English words an entry keeps; their probabilities are scaled to sum to 1.
    :param rarest: words seen less often are left out.
    """
    own, english = Vocabulary(), Vocabulary()
    links: list[tuple[Numbers, Numbers, Numbers]] = []
    occurrences = 0
    for number, pair in enumerate(pairs):
        if number == _MOST_PAIRS:
            break
        for text, source in ((pair.query, pair.english_query), (pair.passage, pair.english_passage)):
            mine, theirs = own.numbers(words_of(text)), english.numbers(words_of(source))
            if len(mine) and len(theirs):
                rows, columns = _band(len(mine), len(theirs))
                links.append((rows + occurrences, mine[rows], theirs[columns]))
                occurrences += len(mine)
    if not links:
        return []
    occurrence, mine, theirs = (np.concatenate(part) for part in zip(*links, strict=True))
    cells, cell = np.unique(mine * len(english.words) + theirs, return_inverse=True)
    word, source = np.divmod(cells, len(english.words))
    counts = _expected_counts(occurrence, cell, source, own.stems()[word], english.stems()[source])
    return _entries(own, english, cells, counts, most, rarest)


class Vocabulary:
    """Words numbered in the order in which they come."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.seen: Counter[int] = Counter()
        self._numbers: dict[str, int] = {}

    def numbers(self, words: Words) -> Numbers:
        """Return the numbers of the words, new ones for new words."""
        found = []
        for word in words:
            if word not in self._numbers:
                self._numbers[word] = len(self.words)
                self.words.append(word)
            found.append(self._numbers[word])
        self.seen.update(found)
        return np.array(found, dtype=np.int64)

    def stems(self) -> Numbers:
        """Return the number of each word's beginning, the same for words that begin alike."""
        numbers: Numbers = np.unique([word[:_STEM] for word in self.words], return_inverse=True)[1]
        return numbers


def _band(rows: int, columns: int) -> tuple[Numbers, Numbers]:
    """Return the cells of a rows x columns table that lie within the band around its diagonal."""
    centre = (np.arange(rows) + 0.5) * columns / rows
    offsets = np.arange(-_BAND, _BAND + 1)
    column = np.floor(centre[:, None]).astype(np.int64) + offsets
    row = np.broadcast_to(np.arange(rows)[:, None], column.shape)
    inside = (column >= 0) & (column < columns)
    return row[inside], column[inside]


def _expected_counts(
    occurrence: Numbers, cell: Numbers, english: Numbers, stem: Numbers, english_stem: Numbers
) -> npt.NDArray[np.float64]:
    """Return how often each (word, English word) cell is expected to be a translation, by EM from a uniform start.

    :param occurrence: of each link between a word of a text and an English one, the word's place in all texts.
    :param cell: of each link.
    :param english: of each cell, its English word; `stem` and `english_stem` are those of its words.
    """
    chance: npt.NDArray[np.float64] = np.ones(len(english))
    counts = chance
    stems = np.unique(stem * (english_stem.max() + 1) + english_stem, return_inverse=True)[1]
    for _ in range(_ITERATIONS):
        weight = chance[cell]
        weight = weight / _sums(weight, occurrence)
        counts = np.bincount(cell, weights=weight, minlength=len(chance)).astype(np.float64)
        alike = _sums(counts, stems) / _sums(counts, english_stem)
        chance = (1 - _SHARED) * counts / _sums(counts, english) + _SHARED * alike
    return counts


def _sums(values: npt.NDArray[np.float64], group: Numbers) -> npt.NDArray[np.float64]:
    """Return for each value the sum over its group."""
    return np.bincount(group, weights=values).astype(np.float64)[group]


def _entries(
    own: Vocabulary, english: Vocabulary, cells: Numbers, counts: npt.NDArray[np.float64], most: int, rarest: int
) -> list[Entry]:
    """Read the best English words of every word out of the table, whose cells are sorted by word."""
    words, starts = np.unique(cells // len(english.words), return_index=True)
    entries = []
    for word, start, end in zip(words, starts, [*starts[1:], len(cells)], strict=True):
        if own.seen[int(word)] >= rarest:
            best = start + np.argsort(-counts[start:end], kind="stable")[:most]
            total = counts[best].sum()
            chosen = tuple((english.words[cells[i] % len(english.words)], float(counts[i] / total)) for i in best)
            entries.append(Entry(own.words[int(word)], own.seen[int(word)], chosen))
    return entries
