"""Whether a text is written in the scripts of its language: a cheap sign of text that was never translated."""

import functools

import regex

from haystack_lrl.languages.table import Language

_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")


def script_class(language: Language) -> str:
    """Return the characters of the language's scripts as a set for `regex` patterns, to stand inside brackets.

    Script extensions count, so that the marks that several scripts share, such as Japanese ー, belong to each.
    """
    return "".join(rf"\p{{Script_Extensions={script}}}" for script in language.scripts)


@functools.cache
def _letters(scripts: str) -> tuple[regex.Pattern[str], regex.Pattern[str]]:
    """Return the patterns of all letters and of those in these scripts.

    Letters of no script of their own, such as the ʻ of Uzbek and Hawaiian, are foreign to none and count as neither.
    """
    letter = r"\p{L}--\p{Script=Common}"
    return regex.compile(rf"[{letter}]+", regex.V1), regex.compile(rf"[[{letter}]&&[{scripts}]]+", regex.V1)


def script_share(text: str, language: Language) -> float:
    """Return the share of a text's letters that belong to the language's scripts, from 0 to 1.

    A text without letters, such as a date, is foreign to no language: its share is 1.
    """
    every, own = _letters(script_class(language))
    letters = sum(map(len, every.findall(text)))
    return sum(map(len, own.findall(text))) / letters if letters else 1.0


def foreign_share(text: str, language: Language) -> float:
    """Return the share of a text's words, by their length, that are in foreign scripts and no names, from 0 to 1.

    Names are left in another script rightly; what begins with a capital counts as one.
    """
    every, own = _letters(script_class(language))
    words: list[str] = _WORD.findall(text)
    foreign = [word for word in words if every.match(word) and not own.search(word) and not word[0].isupper()]
    return sum(map(len, foreign)) / sum(map(len, words)) if words else 0.0
