"""Endings, and words inside words, as pieces for scripts of which a tokenizer knows no more than single letters.

There a word outside the vocabulary falls into letters whose vectors mean nothing, or is unknown as a whole, although a
piece may begin it. Each such letter pulls the mean of a text away from what it says. So an ending becomes one piece,
with the vector of the commonest English one, which the model has learned to read as changing little.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from haystack_lrl.adaptation.vocabulary.pieces import PART
from haystack_lrl.adaptation.vocabulary.tokenizer import (
    SPACE,
    pieces_by_id,
    plain_tokenizer,
    token_table,
    tokenizer_file,
)

_SHORTEST_BEGINNING = 3
_SHORTEST_INSIDE = 4  # letters of a word that may stand inside another one, as in a compound
_SHARED = 3  # words that must end so


def strange_words(model: SentenceTransformer, words: Sequence[str]) -> list[int]:
    """Return the places of the words with a letter that no piece of several holds, and so no English word either."""
    pieces = (piece.removeprefix(PART).strip(SPACE) for piece in pieces_by_id(tokenizer_file(model)).values())
    familiar = set().union(*(piece for piece in pieces if len(piece) > 1))
    return [place for place, word in enumerate(words) if not familiar.issuperset(word)]


def endings_of(words: Iterable[str]) -> list[str]:
    """Return what several of the words, or stems, end in after another one of them."""
    known = dict.fromkeys(words)  # in their order: ids of pieces are the same in every run
    ends = Counter(word[cut:] for word in known for cut in range(_SHORTEST_BEGINNING, len(word)) if word[:cut] in known)
    return [end for end, count in ends.items() if count >= _SHARED]


def can_stand_inside(word: str) -> bool:
    """Tell whether a word is long enough to be told inside others."""
    return len(word) >= _SHORTEST_INSIDE


def commonest_ending(backend: Tokenizer, english: Mapping[str, int], table: torch.Tensor) -> torch.Tensor | None:
    """Return the vector of the piece that most often goes on with an English word; None where words are whole.

    :param english: words and how often they come.
    """
    endings: Counter[int] = Counter()
    encodings = backend.encode_batch_fast(list(english), add_special_tokens=False)
    for encoding, count in zip(encodings, english.values(), strict=True):
        endings.update(dict.fromkeys(encoding.ids[1:], count))
    return table[endings.most_common(1)[0][0]] if endings else None


def set_vectors(model: SentenceTransformer, pieces: Sequence[str], vectors: torch.Tensor) -> None:
    """Give pieces their vectors also where the tokenizer had them before: single letters that meant nothing."""
    backend, weight = plain_tokenizer(model), token_table(model).weight
    places = {number: row for row, piece in enumerate(pieces) if (number := backend.token_to_id(piece)) is not None}
    with torch.no_grad():
        weight[list(places)] = vectors[list(places.values())].to(weight)
