"""What assistants write before an answer or instead of one, in English, to which they fall back."""

import functools

import regex

from haystack_lrl.languages.table import Language

_TASK = "translation|question|query|queries|passage|text|answer|summary|title|sentence|version|response|example|output"
_MACHINE = "(?:ai|(?:ai |large )?language model|(?:ai|virtual) assistant)"

# each names the task or the machine, for people's English also begins with "Here are" and "I cannot"
_STARTS = (
    r"(?:sure|certainly|of course|absolutely|okay|ok)[,.!]+ (?:here|below|i(?:'ll|'d| will| would| can))\b",
    rf"(?:here(?:'s| is| are)|below (?:is|are)|the following (?:is|are))\b[^.!?\n]*\b(?:{_TASK})s?\b[^.!?\n]*:",
    rf"the (?:translated )?(?:{_TASK})\b[^.!?\n:]* (?:is|reads)(?: as follows| below)?:",
    r"(?:i am |i'm |we are |we're )?(?:very |so )?sorry,? (?:but )?i\b",
    r"i (?:cannot|can't|can not|won't|will not|am unable to|am not able to) "
    r"(?:translate|assist|help|provide|fulfill?|generate|create|complete|comply|answer|write|continue)\b",
    r"(?:i apologi[sz]e|unfortunately, i) ",
    rf"as an? {_MACHINE}\b[^.!?\n]*\bi\b",
    rf"i(?: am|'m) (?:just |only )?an? {_MACHINE}\b",
    r"```|<think>|<\|",
)


@functools.cache
def _pattern(language: Language) -> regex.Pattern[str]:
    label = rf"(?:{regex.escape(language.name)} )?(?:translated )?(?:{_TASK})(?: \d+)?|[qa]"
    if language.name != language.own_name:  # else people's titles begin with it too: "Esperanto: ..."
        label += f"|{regex.escape(language.name)}"
    marked = rf"(?:{label})\W{{0,2}}:"  # **Question:**
    return regex.compile(rf"[\s\"'“«#>*_(-]*(?:{'|'.join((*_STARTS, marked))})", regex.IGNORECASE)


def is_boilerplate(text: str, language: Language) -> bool:
    """Tell whether a text begins with a refusal, a preamble, a label such as `Question:` or a Markdown fence."""
    return bool(_pattern(language).match(text.replace("’", "'")))
