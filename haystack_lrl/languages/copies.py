"""Translations that are the source again: how a translator that gave up half way betrays itself."""

from collections import Counter

import regex

_WORD = regex.compile(r"\p{L}+")
_SHARE = 0.8


def is_copy(source: str, text: str) -> bool:
    """Tell whether at least four fifths of a text's words stand in its source too.

    Names and numbers alone do not reach that in a passage; a text without words is no copy.
    """
    words = Counter(_WORD.findall(text.lower()))
    if not words or not source:
        return False
    shared = words & Counter(_WORD.findall(source.lower()))
    return shared.total() >= _SHARE * words.total()
