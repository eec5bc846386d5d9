"""The language gate: what every text of a generator or translator must pass, and every question about a passage."""

from dataclasses import dataclass

import regex

from haystack_lrl.languages.boilerplate import is_boilerplate
from haystack_lrl.languages.copies import is_copy
from haystack_lrl.languages.identify import is_short, other_language
from haystack_lrl.languages.repetition import compression
from haystack_lrl.languages.scripts import foreign_share, script_share
from haystack_lrl.languages.sentences import split_sentences
from haystack_lrl.languages.table import Language

# words of English questions that ask nothing of their own, and those by which they only point at the passage
_EMPTY = regex.compile(
    "a|about|according|an|and|are|as|at|be|been|by|can|could|did|do|does|for|from|given|had|has|have|he|her|his|how|i|in|"
    "is|it|its|me|of|on|or|our|she|should|so|that|the|their|them|there|these|they|this|those|to|us|was|we|were|what|when|"
    "where|which|who|whom|whose|why|will|with|would|you|your|"
    "above|articles?|author|context|describe[ds]?|discuss(es|ed)?|document|excerpt|explain(s|ed)?|following|ideas?|main|"
    "mention(s|ed)?|paragraph|passages?|points?|says?|statements?|summary|tells?|texts?|topic|writer"
)
_WORD = regex.compile(r"[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}]|['’ʼ՛՜՞״](?=\p{L}))*")  # Armenian asks inside of words
# scripts without spaces, and how many characters a word has there, roughly
_UNSPACED = (
    (regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]"), 2),
    (regex.compile(r"[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]"), 4),
)
_ASKING = ("question", "long form")  # styles of whole questions; the others, such as keywords, may be short
_SPAN = 0.9  # of a question's letters, or of the passage's: with one word before it, a copied span is still copied
_KEYWORDS = 3  # words that a query of another style may take from the passage in their order, as people do


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a text must pass. The defaults reject 0 to 0.2% of people's sentences in each of 13 languages.

    They catch 99.4 to 100% of English ones in their place: see eval/results/language_gate.json.

    :param odds: how many times likelier another language must be than the text's own: below, neighbours such as
        Macedonian and Bulgarian are taken for each other; above, English slips through in Hausa.
    :param script_share: lowest accepted share of the text in the language's scripts, to which names in others do not
        count; a text without any letter of them is rejected.
    :param code_switching: highest accepted share of the text in sentences of another language, or in words of another
        script that are no names.
    :param compression: lowest accepted size after/before zlib: below it, a text repeats itself.
    """

    odds: float = 5.0
    script_share: float = 0.5
    code_switching: float = 0.2
    compression: float = 0.25

    def __post_init__(self) -> None:
        if self.odds < 1:
            raise ValueError(f"gate.odds is {self.odds}, but must be 1 or above")
        for name in ("script_share", "code_switching", "compression"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"gate.{name} is {getattr(self, name)}, but must be 0 to 1")


class LanguageGate:
    """Says of a text why it cannot be what was asked for.

    :param language: that the text must be in; English as well.
    :param settings: the defaults where there are none.
    """

    def __init__(self, language: Language, settings: GateSettings | None = None) -> None:
        self.language = language
        self.settings = settings or GateSettings()
        self._rules = (
            ("empty", lambda text, _: not any(map(str.isalnum, text))),
            ("refusal or preamble", lambda text, _: is_boilerplate(text, language)),
            ("copied source", self._is_copied),
            ("repetition", lambda text, _: compression(text) < self.settings.compression),
            ("wrong script", lambda text, _: self._own_share(text) < self.settings.script_share),
            ("wrong language", lambda text, _: other_language(text, language, self.settings.odds) is not None),
            ("mixed languages", lambda text, _: self._mixed_share(text) > self.settings.code_switching),
        )

    def check(self, text: str, *, source: str = "") -> str | None:
        """Return the reason to reject a text, None where there is none.

        :param source: what it was translated or made from; empty where there is none.
        """
        return next((reason for reason, applies in self._rules if applies(text, source)), None)

    def _is_copied(self, text: str, source: str) -> bool:
        """Tell whether a text is its source again; a short one may be a name, which is the same in both languages."""
        return is_copy(source, text) and not is_short(text, self.language)

    def _own_share(self, text: str) -> float:
        """Return the share of a text in its scripts; where it has any letter of them, names in others are its own."""
        return 1 - foreign_share(text, self.language) if script_share(text, self.language) else 0.0

    def _mixed_share(self, text: str) -> float:
        """Return the share of a text in words or sentences of another language."""
        sentences = split_sentences(text, self.language)
        if len(sentences) == 1:
            return foreign_share(text, self.language)  # as a whole, it has passed
        foreign = [each for each in sentences if other_language(each, self.language, self.settings.odds)]
        share = sum(map(len, foreign)) / sum(map(len, sentences))
        return max(share, foreign_share(text, self.language))


def check_question(question: str, passage: str, *, style: str = "question") -> str | None:
    """Return the reason to reject a question about a passage, None where there is none.

    In any language a question needs three words, one of which asks; English ones, two words with content beside.

    :param style: `question` and `long form` ask; all others, such as `keyword`, are queries that may be a word or two,
        and may stand in the passage up to three words long.
    """
    words = _words(question)
    content = [word for word in words if not _EMPTY.fullmatch(word)]
    asks = style in _ASKING
    if len(content) < (2 if asks else 1) or (asks and len(words) < 3):
        return "question without content"
    if (asks or len(words) > _KEYWORDS) and _is_span(question, passage):
        return "copied passage"
    return None


def _words(text: str) -> list[str]:
    """Return the words of a text in small letters; runs without spaces are cut into pieces of a word's length."""
    words = []
    for run in _WORD.findall(text.lower()):
        size = next((size for script, size in _UNSPACED if script.search(run)), len(run))
        words += [run[start : start + size] for start in range(0, len(run), size)]
    return words


def _is_span(question: str, passage: str) -> bool:
    """Tell whether nearly all letters of the question, or of the passage, follow each other in the other one."""
    short, long = sorted(("".join(_WORD.findall(text.lower())) for text in (question, passage)), key=len)
    length = -int(-_SPAN * len(short) // 1)
    return bool(short) and any(short[start : start + length] in long for start in range(len(short) - length + 1))
