"""Translation models of transformers: NLLB, MADLAD, OPUS-MT, M2M100, mBART and their kin."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.fingerprint import fingerprint
from haystack_lrl.synthesis.sentencewise import MOST_POSITIONS, Sentencewise, Tokens, most_new_tokens
from haystack_lrl.synthesis.targets import DirectedTokenizer
from haystack_lrl.synthesis.translator import Texts, Unusable

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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
        self.device = device
        tokenizer, config = _load_tokenizer(model)
        self._tokenizer = DirectedTokenizer(tokenizer, spoken, model)
        stated = getattr(config, "max_position_embeddings", None) or MOST_POSITIONS
        positions = min(tokenizer.model_max_length, stated, MOST_POSITIONS)
        self._sentencewise = Sentencewise(self._tokenizer.encode, self._generate, positions, batch_tokens)
        folder = Path(model)
        self.identity: Mapping[str, Any] = {
            "seq2seq": folder.name if folder.is_dir() else model,
            "weights": fingerprint(folder) if folder.is_dir() else config._commit_hash,
            "language": spoken.code,
            "num_beams": num_beams,
        }

    def translate(self, items: Iterable[Texts]) -> Iterator[Texts | Unusable]:
        """Yield the translation of each item, in order; no text is cut to fit the model."""
        return self._sentencewise.translate(items)

    def _generate(self, batches: Iterable[list[Tokens]]) -> Iterator[list[str]]:
        target = self._tokenizer.target.token
        begin = {} if target is None else {"forced_bos_token_id": target}
        begun = 0 if target is None else 2  # the start and the language, no special token of M2M100's in transformers 5
        model: Any = self._loaded  # transformers does not type generate
        for batch in batches:
            inputs = self._tokenizer.own.pad({"input_ids": batch}, return_tensors="pt")
            output = model.generate(
                **inputs.to(model.device),
                **begin,
                max_new_tokens=most_new_tokens(len(batch[0]), self._sentencewise.positions),
                num_beams=self.num_beams,
                do_sample=False,
            )
            yield self._tokenizer.decode(output[:, begun:])

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
