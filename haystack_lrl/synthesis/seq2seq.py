"""Translation models of transformers: NLLB, MADLAD, OPUS-MT, M2M100, mBART and their kin.

Every sentence is translated on its own: these models are trained on pairs of sentences, and of a paragraph they leave
some out without a word (huggingface/transformers issue 24169, facebookresearch/fairseq issue 5108).
"""

import contextlib
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haystack_lrl.languages.sentences import split_sentences
from haystack_lrl.languages.table import Language, language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import fingerprint
from haystack_lrl.synthesis.translator import Texts, Unusable, one_line, text_by_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WINDOW = 512  # texts sorted by length together: little padding, and a killed run loses no more than these
_MOST_POSITIONS = 512  # what translation models are trained with, also those that state no limit
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


class Seq2SeqTranslator:
    """Translate with an encoder-decoder model, which is loaded when it is first used.

    :param model: a folder, or a model's id on the hub.
    :param spoken: what to translate into.
    :param num_beams: beams of the search; 1 by default, since noisy translations do and 4 take three times as long.
    :param batch_tokens: input tokens a batch, padding included.
    :param device: the fastest there is by default.
    :raises InputError: when there is no such model, it is of another kind, or it does not know the language.
    """

    def __init__(
        self, model: str, spoken: Language, *, num_beams: int = 1, batch_tokens: int = 4096, device: str | None = None
    ) -> None:
        self.model = model
        self.num_beams = num_beams
        self.batch_tokens = batch_tokens
        self.device = device
        self._tokenizer, config = _load_tokenizer(model)
        self._target = find_target(self._tokenizer, spoken, model)
        if self._target.source:
            self._tokenizer.src_lang = self._target.source
        stated = getattr(config, "max_position_embeddings", None) or _MOST_POSITIONS
        self._positions = min(self._tokenizer.model_max_length, stated, _MOST_POSITIONS)
        folder = Path(model)
        self.identity: Mapping[str, Any] = {
            "seq2seq": folder.name if folder.is_dir() else model,
            "weights": fingerprint(folder) if folder.is_dir() else config._commit_hash,
            "language": spoken.code,
            "num_beams": num_beams,
        }

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield the translation of each item, in order; no text is cut to fit the model."""
        return text_by_text(items, self._translate_texts)

    def _translate_texts(self, texts: Iterable[str]) -> Iterator[str]:
        source = iter(texts)
        while window := list(itertools.islice(source, _WINDOW)):
            parted = [self._sentences(text) for text in window]
            translations = iter(self._translate_sentences([sentence for part in parted for sentence in part]))
            for part in parted:
                yield one_line(" ".join(itertools.islice(translations, len(part))))

    def _sentences(self, text: str) -> list[str]:
        sentences = map(one_line, split_sentences(text, language("eng")))
        return [piece for sentence in sentences for piece in self._fitting(sentence)]

    def _fitting(self, sentence: str) -> list[str]:
        """Halve a sentence between words until each part leaves its translation twice its own room."""
        if len(sentence) < 2 or self._length(sentence) <= self._positions // 2:
            return [sentence]
        middle = len(sentence) // 2
        cut = max(sentence.rfind(" ", 0, middle), 0) or middle
        return self._fitting(sentence[:cut]) + self._fitting(sentence[cut:].lstrip())

    def _length(self, sentence: str) -> int:
        return len(self._tokenizer(self._target.tag + sentence, verbose=False)["input_ids"])

    def _translate_sentences(self, sentences: Sequence[str]) -> list[str]:
        lengths = [self._length(sentence) for sentence in sentences]
        order = sorted(range(len(sentences)), key=lengths.__getitem__, reverse=True)
        translations = [""] * len(sentences)
        while order:
            batch = order[: max(1, self.batch_tokens // lengths[order[0]])]
            order = order[len(batch) :]
            answers = self._generate([self._target.tag + sentences[place] for place in batch], lengths[batch[0]])
            for place, answer in zip(batch, answers, strict=True):
                translations[place] = answer
        return translations

    def _generate(self, sentences: list[str], longest: int) -> list[str]:
        """Translate one batch.

        :param longest: tokens of the longest sentence, which bounds how long a model that repeats itself goes on.
        """
        inputs = self._tokenizer(sentences, padding=True, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        begin = {} if self._target.token is None else {"forced_bos_token_id": self._target.token}
        model: Any = self._loaded  # transformers does not type generate
        output = model.generate(
            **inputs.to(model.device),
            **begin,
            max_new_tokens=min(2 * longest + 16, self._positions - 1),
            num_beams=self.num_beams,
            do_sample=False,
        )
        return list(self._tokenizer.batch_decode(output, skip_special_tokens=True))

    @functools.cached_property
    def _loaded(self) -> "PreTrainedModel":
        import torch
        from transformers import AutoModelForSeq2SeqLM

        from haystack_lrl.encoding.hardware import has_fast_bf16, pick_device

        device = pick_device(self.device)
        dtype = torch.bfloat16 if has_fast_bf16(device) else torch.float32
        with _explained(self.model):
            model: Any = AutoModelForSeq2SeqLM.from_pretrained(self.model, dtype=dtype)
        model.generation_config.max_length = None  # max_new_tokens says it
        placed: PreTrainedModel = model.to(device).eval()
        return placed


@contextlib.contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            f"The translation model {model} cannot be loaded ({str(error).splitlines()[0]}): give the path of a folder "
            "with its weights and tokenizer, or the id of a model on the hub that this machine can reach."
        ) from error


def _load_tokenizer(model: str) -> tuple["PreTrainedTokenizerBase", Any]:
    """Return the tokenizer and the configuration of a translation model."""
    from transformers import AutoConfig, AutoTokenizer

    with _explained(model):
        config = AutoConfig.from_pretrained(model)
        tokenizer = AutoTokenizer.from_pretrained(model)
    if not config.is_encoder_decoder:
        raise InputError(
            f"{model} is a {config.model_type} model, which does not translate: for a chat model use chat:{model}."
        )
    return tokenizer, config


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
