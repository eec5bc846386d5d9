"""How a translation model is told the language, decided by what its tokenizer has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.sentencewise import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TAG = re.compile(r"<2\w+>|>>\w+<<")  # MADLAD's and OPUS-MT's names of languages
_FLORES = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
_ENGLISH = ("eng_Latn", "en_XX", "en")  # NLLB's, mBART's and M2M100's


@dataclass(frozen=True, slots=True)
class Target:
    """How a model is told the language.

    :param tag: what stands before each text; empty for none.
    :param token: the id that output begins with; None where the model is not told so.
    :param source: the tokenizer's name of English, None where it has none.
    """

    tag: str = ""
    token: int | None = None
    source: str | None = None


class DirectedTokenizer:
    """A translation model's tokenizer that is told both languages: English, and the one to translate into.

    :param tokenizer: the model's own.
    :param spoken: what to translate into.
    :param model: what to call the model where it does not know the language.
    :raises InputError: when it does not.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", spoken: Language, model: str) -> None:
        self.own: Any = tokenizer  # transformers types neither src_lang nor what a call returns
        self.target = find_target(tokenizer, spoken, model)
        if self.target.source:
            self.own.src_lang = self.target.source

    def encode(self, sentences: list[str]) -> list[Tokens]:
        """Return the tokens of each sentence, with all that tells the model the languages."""
        if not sentences:
            return []
        tagged = [self.target.tag + sentence for sentence in sentences]
        tokens: list[Tokens] = self.own(tagged, verbose=False)["input_ids"]
        return tokens

    def decode(self, outputs: Sequence[Tokens]) -> list[str]:
        """Return the text of each output, without special tokens."""
        return list(self.own.batch_decode(outputs, skip_special_tokens=True))


def find_target(tokenizer: "PreTrainedTokenizerBase", spoken: Language, model: str) -> Target:
    """Return how to ask for the language, decided by what the tokenizer has and not by the model's name.

    A tokenizer without names of languages belongs to a model of one direction, which needs none.

    :raises InputError: when it has names of languages and not this one's.
    """
    vocabulary = tokenizer.get_vocab()
    # mBART's and M2M100's tokenizers have a table of names, NLLB's has the names among its tokens
    table = getattr(tokenizer, "lang_code_to_id", None) or {
        token: number for token, number in vocabulary.items() if "eng_Latn" in vocabulary and _FLORES.fullmatch(token)
    }
    tags = {token.strip("<>").removeprefix("2"): token for token in vocabulary if _TAG.fullmatch(token)}
    if not table and not tags:
        return Target()
    name = _own_name(table or tags, spoken)
    if name is None:
        raise InputError(
            f"The translation model {model} does not know {spoken.name} ({spoken.code}): use one that does."
        )
    if table:
        return Target(token=table[name], source=next((english for english in _ENGLISH if english in table), None))
    return Target(tag=f"{tags[name]} ")


def _own_name(names: Mapping[str, Any], spoken: Language) -> str | None:
    """Return the language's name among those of a tokenizer: hye_Armn, hy, hye, or mBART's with a country, hy_AM."""
    codes = [code for code in (spoken.short, spoken.code, spoken.nllb[:3]) if code]
    wanted = [spoken.nllb, *codes, *(code + spoken.nllb[3:] for code in codes)]
    longer = (name for name in names if name.partition("_")[0] in codes)
    return next((name for name in wanted if name in names), next(longer, None))
