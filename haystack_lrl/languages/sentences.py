"""Sentence splitting for every script, by the marks that end sentences and without a model.

Where a full stop is in doubt two sentences stay together: half a sentence is worse to translate than two.
"""

import functools
import unicodedata
from collections.abc import Iterator

import regex

from haystack_lrl.languages.table import Language

Span = tuple[int, int]
"""Where a part of a text starts and ends, in characters."""

# end a sentence in whatever language they stand, with or without a space after them: Armenian, Ethiopic, Arabic, Urdu,
# Indic, Sinhala, Burmese, Khmer, Thai, Chinese and Japanese, Tibetan, Mongolian, Georgian, Ol Chiki, Meetei
_SURE = "։።፧፨؟۔।॥෴။។៕៚๚๛。！？｡།༎᠃᠉჻᱾᱿꯫"
_WEAK = ".!?…"  # end one only where a space follows
_CLOSING = "\"'”’»›)]}」』】）〉》"
_OPENING = "\"'“‘«‹„‚([{¿¡"
_SMALL = r"[\p{Ll}--\p{Script=Georgian}]"  # Georgian begins sentences with small letters: capitals are for headlines

_LETTER = r"\p{L}\p{M}*"
_CASED = r"[\p{Lu}\p{Ll}]\p{M}*"
_DOTTED = regex.compile(rf"(?:(?:{_LETTER}){{1,3}}\.)+(?:{_LETTER}){{1,3}}")  # k.t.p, Ph.D
_SHORTENED = regex.compile(r"\p{Lu}-\p{L}{1,3}")  # D-ro, S-ino
_SHORT = regex.compile(rf"(?:{_CASED}){{1,3}}")
# scripts without capitals: an initial is one letter without a vowel sign, but a syllable or character may be a word
_INITIAL = regex.compile(
    r"[[\p{Lo}\p{Script=Georgian}]--[\p{Script=Hangul}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]]", regex.V1
)
# Dr, Prof, Md, Mr and their like, where they have a vowel or a script without one; they never end a sentence
# fmt: off
_TITLES = frozenset([
    "Prof", "Gen", "Sen", "Gov", "Capt", "Rev", "Hon", "Проф", "проф", "Акад", "акад", "Պրոֆ", "պրոֆ", "ակադ", "პროფ",
    "დოქ", "פרופ", "डॉ", "डा", "प्रो", "मो", "श्री", "ড", "ডা", "ডঃ", "মো", "ડૉ", "ડો", "ਡਾ", "ଡା", "డా", "శ్రీ", "ಡಾ", "ಶ್ರೀ",
    "ഡോ", "ശ്രീ", "திரு", "ดร", "รศ", "ผศ", "ဦး",
])
# fmt: on
_VOWELS = frozenset("aeiouywıəøæœɛɔɨʉаеиоуыэюяієъәөүұαεηιουωաեէըիոօևւაეიოუ")
_ORDINAL = regex.compile(r"\p{Nd}{1,2}")  # a year ends sentences, the number of a day or of a list item does not


@functools.cache
def _ends(own: str) -> regex.Pattern[str]:
    """Return the pattern of the ends of a sentence, given the language's own; group `stop` is a full stop in doubt."""
    opening, closing = regex.escape(_OPENING), regex.escape(_CLOSING)
    time = rf"(?<=\p{{Nd}})[{_SURE}]\p{{Nd}}"  # 10։30
    etc = r"(?:។\s?ល\s?(?=។))?"  # ។ល។ in Khmer
    pause = rf"(?=\s)(?!\s+[{opening}]*{_SMALL})"
    ends = [
        rf"(?!{time}){etc}[{_WEAK}]*[{_SURE}](?:\s*[{_WEAK}{_SURE}])*[{closing}]*",
        r"[!?]+(?=\s)",
        rf"(?P<stop>(?<![{_WEAK}])\.{pause})",
        rf"[{_WEAK}]+[{closing}{opening}]*{pause}",
        *([rf"(?:{own})[{closing}]*"] if own else []),
    ]
    return regex.compile(rf"(?:{'|'.join(ends)})(?=\W*\w)", regex.V1)  # what holds no word is no sentence


def _is_shortened(word: str, number_follows: bool) -> bool:
    """Tell an abbreviation from the last word of a sentence: one to three letters without a vowel, as no word is."""
    if _DOTTED.fullmatch(word) or _SHORTENED.fullmatch(word) or _INITIAL.fullmatch(word) or word in _TITLES:
        return True
    if not _SHORT.fullmatch(word):
        return False
    if word.isupper():
        return len(word) == 1  # J. Smith, but the BBC.
    return number_follows or _VOWELS.isdisjoint(unicodedata.normalize("NFD", word.lower()))


def _stop_is_inside(before: str, after: str) -> bool:
    """Tell whether the sentence goes on after a full stop followed by a space and no small letter."""
    word = before.split()[-1].lstrip(_OPENING + "-–—") if before.strip() else ""
    return bool(_ORDINAL.fullmatch(word)) or _is_shortened(word, after.lstrip()[:1].isdecimal())


def _split_line(line: str, language: Language) -> Iterator[Span]:
    start = 0
    for end in _ends(language.ends).finditer(line):
        if end["stop"] and _stop_is_inside(line[start : end.start()], line[end.end() : end.end() + 9]):
            continue
        yield start, end.end()
        start = end.end()
    yield start, len(line)


def trim(text: str, start: int, end: int) -> Span:
    """Return a span without the white space at its ends."""
    part = text[start:end].rstrip()
    return start + len(part) - len(part.lstrip()), start + len(part)


def sentence_spans(text: str, language: Language) -> Iterator[Span]:
    """Yield where the sentences of a text start and end, in order; nothing but white space is between them.

    A new line ends a sentence. So do the marks of every script, with the quotation marks and brackets that close after
    them, unless they stand behind an abbreviation, an initial or an ordinal, or a small letter follows. Thai and Lao,
    which part sentences by the same spaces as phrases, are split at new lines and borrowed marks only.
    """
    offset = 0
    for line in text.splitlines(keepends=True):
        for start, end in _split_line(line, language):
            span = trim(text, offset + start, offset + end)
            if span[0] < span[1]:
                yield span
        offset += len(line)


def split_sentences(text: str, language: Language) -> list[str]:
    """Return the sentences of a text in order, as `sentence_spans` finds them."""
    return [text[start:end] for start, end in sentence_spans(text, language)]
