"""Words of the language as new pieces of the tokenizer, with meanings taken from the model's own English words.

A tokenizer made for another language shatters the words of this one, and training has to learn what the fragments mean.
A new piece for each known word, whose vector is the mean of its English translations' vectors weighted by their
probabilities, gives the model these meanings without any training, and shortens its input. Known for language models
as WECHSEL (arXiv 2112.06598) and trans-tokenization (arXiv 2408.04303). Words that no translation held, and stems of
words, get theirs from the lexicon's words that are built alike.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import regex
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from haystack_lrl.adaptation.vocabulary.insides import (
    can_stand_inside,
    commonest_ending,
    endings_of,
    set_vectors,
    strange_words,
)
from haystack_lrl.adaptation.vocabulary.lexicon import align
from haystack_lrl.adaptation.vocabulary.morphology import Morphology, known_words, shared_stems, shrunk
from haystack_lrl.adaptation.vocabulary.pieces import PART, can_grow, sparing, takes_parts, with_pieces
from haystack_lrl.adaptation.vocabulary.report import tokenizer_report
from haystack_lrl.adaptation.vocabulary.tokenizer import (
    is_one_piece,
    pieces_a_word,
    plain_tokenizer,
    token_table,
    words_of,
)
from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.records.corpus import sample_english
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair

WordCounts = Callable[[Tokenizer], Mapping[str, int]]
"""Returns how often words come in text, as a tokenizer cuts it."""

_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")
# a word that is also an English one is the language's own where it is so many times as frequent: `sed`, `tra`, `nia`
_OWN = 10
_SAMPLE = 500  # pairs that show how a tokenizer cuts the language
_DOCUMENTED = 2  # times that a word of the documents must come: fewer may be a typing error


@dataclass(frozen=True)
class Growth:
    """What growing the vocabulary did.

    :param words: pieces from the lexicon.
    :param pieces_a_word: pieces of a word of the training text before and after.
    :param derived: words of the documents whose vectors morphology gave.
    :param stems: beginnings of words, likewise.
    :param insides: endings, and words inside words, of a script that was known letter by letter.
    """

    words: int
    pieces_a_word: tuple[float, float]
    derived: int = 0
    stems: int = 0
    insides: int = 0

    def to_json(self) -> dict[str, object]:
        """Return the summary for the manifest."""
        shares = [round(share, 2) for share in self.pieces_a_word]
        return {
            "words": self.words,
            "derived": self.derived,
            "stems": self.stems,
            "insides": self.insides,
            "pieces_a_word": shares,
        }


@dataclass
class _Words:
    """New words with their vectors, in the order in which they become pieces."""

    vectors: Vectors
    words: list[str] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)


def shatters(model: SentenceTransformer, pairs: Sequence[Pair]) -> bool:
    """Tell whether the tokenizer can grow and cuts the language's words into many more pieces than English ones."""
    sample = [pair for pair in pairs[:_SAMPLE] if pair.english_passage]
    if not sample or not can_grow(model):
        return False
    return tokenizer_report(model, (p.passage for p in sample), (p.english_passage for p in sample)).shattered


def grow_vocabulary(
    model: SentenceTransformer,
    pairs: Iterable[Pair],
    *,
    dictionary: Mapping[str, Sequence[str]] | None = None,
    documents: Iterable[str] = (),
    counts: WordCounts | None = None,
) -> tuple[SentenceTransformer, Growth]:
    """Return a copy of the model that knows the words of the language.

    English text is cut as before, save for rare words that begin with a word of the lexicon, or are one that the
    language uses ten times as often.

    :param pairs: translated pairs or parallel sentences with their English sides; none to be measured on.
    :param dictionary: English words by word of the language, beside what is aligned.
    :param documents: text in the language alone; its words get the vectors of words built alike.
    :param counts: returns how often its words come, for text that is counted elsewhere.
    :raises InputError: when the tokenizer cannot take new pieces, or there is nothing to learn words from.
    """
    if not can_grow(model):
        raise InputError("The base model's tokenizer is not WordPiece, Unigram or BPE: set vocabulary to none.")
    backend = plain_tokenizer(model)
    translated = [pair for pair in pairs if pair.english_passage]
    if not translated and not dictionary:
        raise InputError(
            "No pair has an English side to align with, and there is no dictionary: set vocabulary to none."
        )
    english = Counter(word for text in _english(translated) for word in words_of(backend, text))
    lexicon = _lexicon(translated, dictionary or {}, english, backend, token_table(model).weight.detach().cpu())
    counts = counts or (lambda backend: Counter(word for text in documents for word in words_of(backend, text)))
    derived = _derived(lexicon, counts, english, backend, stems=takes_parts(model))
    groups = [lexicon, *(_harmless(model, group, english) for group in derived)]
    groups.append(_insides(model, groups, english, backend))
    vectors = torch.from_numpy(np.concatenate([group.vectors for group in groups]))
    grown = with_pieces(model, [word for group in groups for word in group.words], vectors)
    set_vectors(grown, groups[-1].words, torch.from_numpy(groups[-1].vectors))
    sample = [pair.passage for pair in translated[:_SAMPLE]] or list(dictionary or {})
    shares = (pieces_a_word(backend, sample), pieces_a_word(plain_tokenizer(grown), sample))
    return grown, Growth(len(groups[0].words), shares, *(len(group.words) for group in groups[1:]))


def _english(pairs: Iterable[Pair]) -> Iterable[str]:
    for pair in pairs:
        yield f"{pair.english_query} {pair.english_passage}"
    yield from sample_english()


def _is_new(backend: Tokenizer, word: str, seen: int, english: Mapping[str, int]) -> bool:
    return _WORD.fullmatch(word) is not None and seen > _OWN * english.get(word, 0) and not is_one_piece(backend, word)


def _lexicon(
    pairs: Sequence[Pair],
    dictionary: Mapping[str, Sequence[str]],
    english: Mapping[str, int],
    backend: Tokenizer,
    table: torch.Tensor,
) -> _Words:
    """Return every word with its vector; one that has both an alignment and a dictionary's entry gets their mean."""
    aligned = {
        entry.word: entry
        for entry in align(pairs, lambda text: words_of(backend, text), rarest=1)
        if _is_new(backend, entry.word, entry.seen, english)
    }
    given = {own[0]: meanings for word, meanings in dictionary.items() if len(own := words_of(backend, word)) == 1}
    given = {word: meanings for word, meanings in given.items() if meanings and _is_new(backend, word, 1, english)}
    words = list(dict.fromkeys((*aligned, *given)))
    rows = []
    for word in words:
        sources = [aligned[word].english] if word in aligned else []
        if word in given:
            sources.append(tuple((meaning, 1 / len(given[word])) for meaning in given[word]))
        rows.append(torch.stack([_mean(source, backend, table) for source in sources]).mean(0))
    seen = [(aligned[w].seen if w in aligned else 0) + _DOCUMENTED * (w in given) for w in words]
    return _Words(torch.stack(rows).numpy() if rows else table[:0].numpy(), words, seen)


def _derived(
    lexicon: _Words, counts: WordCounts, english: Mapping[str, int], backend: Tokenizer, *, stems: bool
) -> tuple[_Words, _Words]:
    """Return words of the documents and stems with the vectors that morphology predicts, and mend the lexicon's own."""
    words, begun = _Words(lexicon.vectors[:0]), _Words(lexicon.vectors[:0])
    if not Morphology.can_learn(lexicon.words):
        return words, begun
    morphology = Morphology(lexicon.words, lexicon.vectors, lexicon.seen)
    lexicon.vectors = shrunk(lexicon.vectors, morphology.words(lexicon.words), lexicon.seen)
    known = set(lexicon.words)
    texts = known_words(counts(backend), _DOCUMENTED)
    words.words = [word for word, seen in texts.items() if word not in known and _is_new(backend, word, seen, english)]
    words.vectors = morphology.words(words.words)
    if stems:
        known.update(words.words)
        found = shared_stems(known)
        begun.words = [stem for stem in found if stem not in known and _is_new(backend, stem, 1, english)]
        begun.vectors = morphology.stems(begun.words)
    return words, begun


def _insides(
    model: SentenceTransformer, groups: Sequence[_Words], english: Mapping[str, int], backend: Tokenizer
) -> _Words:
    """Return what may stand inside words of a script that the tokenizer knows letter by letter."""
    words = [word for group in groups for word in group.words]
    vectors = np.concatenate([group.vectors for group in groups])
    strange = strange_words(model, words) if takes_parts(model) else []
    ending = commonest_ending(backend, english, token_table(model).weight.detach().cpu()) if strange else None
    if ending is None:
        return _Words(vectors[:0])
    known = {words[place]: vectors[place] for place in strange}
    ends = dict.fromkeys(endings_of(known), ending.numpy())
    whole = {word: vector for word, vector in known.items() if can_stand_inside(word)}
    pieces = ends | whole
    rows = np.array(list(pieces.values()), dtype=np.float32).reshape(len(pieces), vectors.shape[1])
    return _Words(rows, [f"{PART}{piece}" for piece in pieces])


def _mean(english: Iterable[tuple[str, float]], backend: Tokenizer, table: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean of the English words' vectors; a word of several pieces is the mean of these."""
    means = [table[backend.encode(f" {word}", add_special_tokens=False).ids].mean(0) * share for word, share in english]
    return torch.stack(means).sum(0)


def _harmless(model: SentenceTransformer, group: _Words, english: Mapping[str, int]) -> _Words:
    """Leave out pieces that would begin another word of the English text."""
    spared = set(sparing(model, group.words, english))
    rows = [row for row, word in enumerate(group.words) if word in spared]
    return _Words(group.vectors[rows], [group.words[row] for row in rows])
