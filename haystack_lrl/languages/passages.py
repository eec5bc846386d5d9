"""Texts cut into passages: as many whole sentences as a budget of tokens holds, and nothing lost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import regex
from more_itertools import chunked

from haystack_lrl.languages.sentences import Span, sentence_spans, trim
from haystack_lrl.languages.table import Language

TokenCounts = Callable[[list[str]], list[int]]
"""Tokens of each text, uncut and without special tokens."""

Piece = tuple[Span, int]
"""A sentence, or a part of a too long one, and its tokens."""

_TEXTS = 256  # texts whose sentences are counted together: tokenizers are fast in batches, memory stays flat
_BATCH = 1024  # pieces a call of the tokenizer

# where a too long sentence may be parted, best first; a comma inside a number has no space after it
_CLAUSE = regex.compile(r"[,;:،؛՝᠂…–—][\"'”’»)\]]*(?=\s)|[、，；：၊፣፤፥፦៖][”’»）」』]*")
_SPACE = regex.compile(r"(?=\s)")
_CLUSTER = regex.compile(r"\X")  # a letter with its marks, as the reader sees it


def passage_spans(
    texts: Iterable[str], language: Language, counts: TokenCounts, budget: int, *, overlap: int = 0
) -> Iterator[list[Span]]:
    """Yield the passages of each text, in order; only white space is outside of all of them.

    A sentence longer than the budget is parted at commas and their like, else between words, else between letters.

    :param budget: most tokens of a passage; only a single letter may have more.
    :param overlap: most sentences (or parts of too long ones) of the end of a passage with which the next begins;
        fewer where they leave no room for anything new.
    """
    for chunk in chunked(texts, _TEXTS):
        spans = [list(sentence_spans(text, language)) for text in chunk]
        sizes = iter(_count([text[a:b] for text, own in zip(chunk, spans, strict=True) for a, b in own], counts))
        pieces = [
            [piece for span in own for piece in _cut(text, span, next(sizes), counts, budget)]
            for text, own in zip(chunk, spans, strict=True)
        ]
        yield from _fit(chunk, pieces, counts, budget, overlap)


def part_text(text: str, language: Language, most: int) -> list[str]:
    """Return a text in parts of at most that many characters, of whole sentences where these are not longer.

    White space around sentences is lost, but only where the text is parted.
    """
    if len(text) <= most:
        return [text]
    spans = sentence_spans(text, language)
    pieces = [piece for span in spans for piece in _cut(text, span, span[1] - span[0], _lengths, most)]
    joined = _fill([size + 1 for _, size in pieces], most, overlap=0)  # a space goes between them
    return [" ".join(text[a:b] for (a, b), _ in pieces[first:end]) for first, end in joined]


def _lengths(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def _count(texts: Sequence[str], counts: TokenCounts) -> list[int]:
    return [count for batch in chunked(texts, _BATCH) for count in counts(batch)]


def _cut(text: str, span: Span, size: int, counts: TokenCounts, budget: int) -> Iterator[Piece]:
    """Yield parts that fit the budget."""
    parts = _parts(text, *span, size // budget + 1) if size > budget else []
    if len(parts) < 2:
        yield span, size
    else:
        for part, tokens in zip(parts, _count([text[a:b] for a, b in parts], counts), strict=True):
            yield from _cut(text, part, tokens, counts, budget)


def _parts(text: str, start: int, end: int, number: int) -> list[Span]:
    """Return the parts of a span at the best boundaries that it has, without the white space around them."""
    for boundary in (_CLAUSE, _SPACE):
        bounds = [start, *(found.end() for found in boundary.finditer(text, start, end)), end]
        trimmed = [trim(text, a, b) for a, b in pairwise(bounds)]
        parts = [(a, b) for a, b in trimmed if a < b]
        if len(parts) > 1:
            return parts
    return _even_parts(text, start, end, number)


def _even_parts(text: str, start: int, end: int, number: int) -> list[Span]:
    """Return so many parts of as many letters each; a letter with hundreds of marks is parted too."""
    letters = [cluster.start() for cluster in _CLUSTER.finditer(text, start, end)]
    if len(letters) < 2:
        letters = list(range(start, end))
    bounds = [*letters[:: -(-len(letters) // number)], end]
    return list(pairwise(bounds))


def _fit(
    texts: Sequence[str], pieces: Sequence[list[Piece]], counts: TokenCounts, budget: int, overlap: int
) -> list[list[Span]]:
    """Return the filled passages of each text, each within the budget by its own count.

    Pieces may have more tokens together than one by one, since some tokenizers count new lines and spaces: then less is
    put into the passages of that text.
    """
    passages: list[list[Span]] = [[] for _ in texts]
    limits = dict.fromkeys(range(len(texts)), budget)  # of the texts that may not fit yet
    while limits:
        doubtful: list[tuple[int, str]] = []
        for row, limit in limits.items():
            ranges = _fill([size for _, size in pieces[row]], limit, overlap)
            joined = [pieces[row][first:end] for first, end in ranges]
            passages[row] = [(own[0][0][0], own[-1][0][1]) for own in joined]
            doubtful += [(row, texts[row][own[0][0][0] : own[-1][0][1]]) for own in joined if _most(own) > budget]
        worst: dict[int, int] = {}
        for (row, _), size in zip(doubtful, _count([text for _, text in doubtful], counts), strict=True):
            worst[row] = max(worst.get(row, 0), size)
        limits = {row: limits[row] * budget // size for row, size in worst.items() if size > budget}
    return passages


def _most(pieces: Sequence[Piece]) -> int:
    """Return the tokens that pieces may have together: a joint one, and each character of white space three (bytes).

    Two a joint were the most that WordPiece, Unigram and both kinds of BPE needed on four languages; counting all
    again would cost as much as counting it.
    """
    spaces = sum(following[0][0] - piece[0][1] for piece, following in pairwise(pieces))
    return sum(size for _, size in pieces) + 3 * spaces + len(pieces) - 1 if len(pieces) > 1 else 0


def _fill(sizes: Sequence[int], budget: int, overlap: int) -> list[Span]:
    """Return (first, last + 1) of the pieces of each passage, as few passages as fit the budget."""
    ranges = []
    first = used = 0
    for new, size in enumerate(sizes):
        if first < new and used + size > budget:
            ranges.append((first, new))
            first = max(first + 1, new - overlap)
            used = sum(sizes[first:new])
            while first < new and used + size > budget:
                used -= sizes[first]
                first += 1
        used += size
    return [*ranges, (first, len(sizes))] if sizes else []
