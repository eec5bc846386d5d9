"""Texts through a model that translates single sentences: split, sorted by length, put together again.

Every sentence is translated on its own: these models are trained on pairs of sentences, and of a paragraph they leave
some out without a word (huggingface/transformers issue 24169, facebookresearch/fairseq issue 5108).
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from haystack_lrl.languages.sentences import split_sentences
from haystack_lrl.languages.table import language
from haystack_lrl.synthesis.translator import Texts, Unusable, one_line, text_by_text

Tokens = list[int]

MOST_POSITIONS = 512  # what translation models are trained with, also those that state no limit
_WINDOW = 512  # texts sorted by length together: little padding, and a killed run loses no more than these


def most_new_tokens(longest: int, positions: int) -> int:
    """Return how long a translation may become, which bounds how long a model that repeats itself goes on.

    :param longest: tokens of the longest sentence of a batch.
    :param positions: tokens that the model has positions for.
    """
    return min(2 * longest + 16, positions - 1)


@dataclass(frozen=True, slots=True)
class Sentencewise:
    """How texts become sentences that fit a model, and these become texts again.

    :param encode: returns the tokens of each sentence.
    :param generate: yields the translations of each batch, in order; a batch comes longest sentence first.
    :param positions: tokens that the model has positions for; a sentence gets half of them, so that its translation
        has twice its room.
    :param batch_tokens: input tokens a batch, padding included.
    """

    encode: Callable[[list[str]], list[Tokens]]
    generate: Callable[[Iterable[list[Tokens]]], Iterator[list[str]]]
    positions: int
    batch_tokens: int

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield the translation of each item, in order; no text is cut to fit the model."""
        return text_by_text(items, self._translate_texts)

    def _translate_texts(self, texts: Iterable[str]) -> Iterator[str]:
        source = iter(texts)
        while window := list(itertools.islice(source, _WINDOW)):
            parted = self._parted(window)
            translations = iter(self._translate_pieces([piece for pieces in parted for piece in pieces]))
            for pieces in parted:
                yield one_line(" ".join(itertools.islice(translations, len(pieces))))

    def _parted(self, texts: list[str]) -> list[list[Tokens]]:
        """Return the tokens of each text, sentence by sentence."""
        split = [[one_line(part) for part in split_sentences(text, language("eng"))] for text in texts]
        tokens = iter(self.encode([sentence for sentences in split for sentence in sentences]))
        return [[piece for part in sentences for piece in self._fitting(part, next(tokens))] for sentences in split]

    def _fitting(self, sentence: str, tokens: Tokens) -> list[Tokens]:
        """Halve a sentence between words until each part has room."""
        if len(sentence) < 2 or len(tokens) <= self.positions // 2:
            return [tokens]
        middle = len(sentence) // 2
        cut = max(sentence.rfind(" ", 0, middle), 0) or middle
        halves = [sentence[:cut], sentence[cut:].lstrip()]
        encoded = zip(halves, self.encode(halves), strict=True)
        return [piece for half, its_tokens in encoded for piece in self._fitting(half, its_tokens)]

    def _translate_pieces(self, pieces: list[Tokens]) -> list[str]:
        batches = list(self._batches([len(piece) for piece in pieces]))
        answers = self.generate([pieces[place] for place in batch] for batch in batches)
        translations = [""] * len(pieces)
        for batch, answer in zip(batches, answers, strict=True):
            for place, translation in zip(batch, answer, strict=True):
                translations[place] = translation
        return translations

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Yield the places of the pieces of each batch, longest first."""
        order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
        while order:
            size = max(1, self.batch_tokens // max(1, lengths[order[0]]))
            yield order[:size]
            order = order[size:]
