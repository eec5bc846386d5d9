"""Search tokens of a language for Haystack's in-memory BM25, which takes one pattern of Python's `re`.

The pattern finds what `haystack_lrl.languages.tokens` does: beginnings of words, or overlapping runs of characters in
languages without spaces. What that folds before (apostrophes, invisible characters, the dotless i) a pattern cannot.
"""

import functools
import sys

import regex

from haystack_lrl.languages.scripts import script_class
from haystack_lrl.languages.table import Language

_MARKS_OF_ALL = r"[\p{M}&&\p{Script=Inherited}]"  # accents and tone marks: belong to the letter before


@functools.cache
def word_pattern(language: Language) -> str:
    """Return the pattern, with one group that is the token.

    `re` counts no vowel sign of an Indic script as part of a word, so these are named one by one.
    """
    scripts = script_class(language)
    signs = _members(rf"[\p{{M}}&&[{scripts}]--\p{{Script=Inherited}}]")
    marks = _members(_MARKS_OF_ALL)
    if language.ngram:
        own = _members(rf"[[\p{{L}}\p{{M}}\p{{N}}]&&[{scripts}]]")
        n, other = language.ngram, rf"[^\W{own}]"
        shorter = rf"(?<![{own}])[{own}]{{1,{n - 1}}}(?![{own}])"
        return rf"(?=([{own}]{{{n}}}|{shorter}|(?<!{other}){other}{{1,{language.prefix}}}))"
    start = rf"(?:[\w{signs}][{marks}]*+){{1,{language.prefix}}}+"
    return rf"(\d{{{language.prefix + 1},}}+|{start})[\w{signs}{marks}]*+"


@functools.cache
def _members(characters: str) -> str:
    """Return the ranges of a set of the `regex` library, as they stand inside brackets."""
    runs = regex.findall(f"{characters}+", _all_characters(), flags=regex.V1)
    return "".join(f"{_escaped(run[0])}-{_escaped(run[-1])}" for run in runs)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


@functools.cache
def _all_characters() -> str:
    """Return every character, in order, so that neighbours in it are a range."""
    return "".join(map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]))
