"""Texts that repeat themselves: what a generator writes that no longer stops."""

import zlib

_ROOM = 200  # characters: shorter texts have no room to repeat themselves


def compression(text: str) -> float:
    """Return the size after zlib by the size before, from about 0 to 1; 1 for texts of 200 characters and fewer.

    Each character counts as one byte, whatever its script: as UTF-8, ten sentences of Georgian compress to a quarter
    by their three-byte letters alone, and English ones to a half. Real passages stay above 0.35 in every script.
    """
    if len(text) <= _ROOM:
        return 1.0
    numbers = {letter: number % 256 for number, letter in enumerate(dict.fromkeys(text))}
    return len(zlib.compress(bytes(numbers[letter] for letter in text))) / len(text)
