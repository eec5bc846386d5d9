"""Which language a text is written in, by py3langid: naive Bayes over byte sequences, its model inside its wheel.

Of its confidences only ratios are used: how many times likelier one language is than another is what tells text apart
on people's own sentences, see eval/results/language_identification.json. Neighbours that share most words are likely
together, so a ratio above one says little and a high one much.
"""

import functools
from collections import defaultdict
from typing import TYPE_CHECKING

import regex

from haystack_lrl.languages.table import LANGUAGES, Language

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# the identifier's labels that are neither ISO 639-1 nor the table's codes; its other varieties, such as Ligurian, are
# left out: no generator answers in them, and they would draw text from their neighbours
_LABELS = {"ary": "ara", "arz": "ara", "fuv": "ful", "gug": "grn", "no": "nob", "sdh": "ckb"}

# written nearly alike, so that a text of one may well look more like another; a text in one of them passes for each
_ALIKE = (("bos", "hrv", "srp"), ("ind", "msa"), ("nno", "nob"), ("fas", "prs"), ("kin", "run"))
_FAMILY = {code: frozenset(codes) for codes in _ALIKE for code in codes}

_WORDS, _CHARACTERS = 4, 20  # a text with fewer of either is short: too little evidence to tell neighbours apart
_SHORT_ODDS = 4.0  # times the odds: names look English where little stands beside them
_STRANGER_ODDS = 2.0  # English against the runner-up, which stands in for a language that the identifier lacks

_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")


@functools.cache
def _identifier() -> "tuple[LanguageIdentifier, dict[str, str]]":
    """Load the model, 0.8 s and 100 MB once, for the labels that stand for languages of the table."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    by_label = {key: row.code for row in LANGUAGES for key in (row.code, row.short) if key} | _LABELS
    codes = {label: by_label[label] for label in identifier.labels if label in by_label}
    identifier.set_languages(codes)
    return identifier, codes


def known_codes() -> frozenset[str]:
    """Return the ISO 639-3 codes of the table's languages that the identifier can name."""
    return frozenset(_identifier()[1].values())


def _family(language: Language) -> frozenset[str]:
    return _FAMILY.get(language.code) or frozenset([language.code])


def knows(language: Language) -> bool:
    """Tell whether the identifier can recognise a language, or one that is written nearly alike."""
    return not _family(language).isdisjoint(known_codes())


def identify(text: str) -> list[tuple[str, float]]:
    """Return (ISO 639-3 code, confidence) of every language that the identifier knows, the likeliest first.

    The confidences sum to 1, also for a text in a language that it does not know: compare them, do not trust them.
    """
    identifier, codes = _identifier()
    scores: defaultdict[str, float] = defaultdict(float)
    for label, confidence in identifier.rank(text):
        scores[codes[label]] += confidence
    return sorted(scores.items(), key=lambda item: item[1], reverse=True)


def is_short(text: str, language: Language) -> bool:
    """Tell whether a text is too short to tell neighbouring languages apart."""
    return len(text.strip()) < _CHARACTERS or (len(_WORD.findall(text)) < _WORDS and not language.ngram)


def other_language(text: str, language: Language, odds: float) -> str | None:
    """Return the code of the language that a text is rather in, None where it may well be in the expected one.

    A short text, and one in a language that the identifier does not know, is only ever found to be English.

    :param odds: how many times likelier the other language must be.
    """
    if not _WORD.search(text):
        return None  # numbers are of every language
    scores = dict(identify(text))
    family = _family(language)
    own = max(scores.get(code, 0.0) for code in family)
    rivals = [code for code in scores if code not in family]
    if not knows(language):
        own, odds = scores[next(code for code in scores if code != "eng")], _STRANGER_ODDS
        rivals = ["eng"]
    if is_short(text, language):
        odds *= _SHORT_ODDS
        rivals = [code for code in rivals if code == "eng"]
    return rivals[0] if rivals and scores[rivals[0]] >= odds * own else None
