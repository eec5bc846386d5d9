"""A generator to be trained: its tokenizer, its weights, and the requests and answers as it reads them."""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from haystack_lrl.encoding.hardware import pick_device
from haystack_lrl.records.errors import InputError
from haystack_lrl.synthesis.chat import first_line
from haystack_lrl.synthesis.loras.examples import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Tokens = Mapping[str, Sequence[int]]  # input_ids and labels of one example

_IGNORED = -100  # the label that transformers' losses leave out

_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}:\n{{ message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)


@contextlib.contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            f"The generator {model} cannot be loaded ({first_line(error)}): give the path of a folder with the weights "
            "and tokenizer of a causal language model, or the id of one on the hub that this machine can reach."
        ) from error


def load_tokenizer(model: str) -> "PreTrainedTokenizerBase":
    """Return a generator's tokenizer; where it has no chat template, with a minimal one.

    The template begins with the token that this tokenizer puts before every text, as those of chat models do.

    :raises InputError: when it cannot be loaded, or has no token for the end of a text.
    """
    with _explained(model):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model)
    if tokenizer.eos_token_id is None:
        raise InputError(f"The tokenizer of {model} has no token for the end of a text: set its eos_token.")
    if not tokenizer.chat_template:
        begins = tokenizer.bos_token_id is not None and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
        tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + _TEMPLATE
    return tokenizer


def encode(tokenizer: "PreTrainedTokenizerBase", example: Example) -> Tokens:
    """Return the tokens of an example and which of them are learnt: the answer to a request, or all of a lone text."""
    end = tokenizer.eos_token_id
    if not example.request:
        tokens = tokenizer(example.text)["input_ids"]
        tokens = tokens if tokens[-1:] == [end] else [*tokens, end]  # some tokenizers put it there themselves
        return {"input_ids": tokens, "labels": tokens}
    message = [{"role": "user", "content": example.request}]
    # without thinking, as Haystack's generators ask; templates that know no such thing ignore it
    asked = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False, enable_thinking=False)
    answer = [*tokenizer(example.text, add_special_tokens=False)["input_ids"], end]
    return {"input_ids": [*asked, *answer], "labels": [_IGNORED] * len(asked) + answer}


@dataclass(frozen=True)
class Collator:
    """Make a batch of examples, padded on the right.

    :param padding: any token; it is neither read nor learnt.
    """

    padding: int

    def __call__(self, rows: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        """Return input_ids, labels and attention_mask, each of shape (rows, longest row)."""
        fillers = {"input_ids": self.padding, "labels": _IGNORED}
        batch = {
            name: torch.nn.utils.rnn.pad_sequence([torch.tensor(row[name]) for row in rows], True, filler)
            for name, filler in fillers.items()
        }
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        longest = torch.arange(batch["input_ids"].shape[1])
        return {**batch, "attention_mask": (longest < lengths[:, None]).long()}


def four_bits() -> bool:
    """Tell whether this machine can train on weights of four bits: CUDA and bitsandbytes are there."""
    return torch.cuda.is_available() and importlib.util.find_spec("bitsandbytes") is not None


def quantisation() -> BitsAndBytesConfig:
    """Return NF4 with double quantisation, computed in bf16 (QLoRA, arXiv 2305.14314)."""
    configuration: Any = BitsAndBytesConfig  # which has no types
    settings: BitsAndBytesConfig = configuration(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return settings


def load_base(model: str, *, quantised: bool) -> "PreTrainedModel":
    """Return the generator to train, in four bits or in full precision.

    :raises InputError: when it is not there or is no causal language model.
    """
    options: dict[str, Any] = {"dtype": torch.float32}  # the trainer moves it to the device
    if quantised:
        options = {"dtype": torch.bfloat16, "device_map": {"": pick_device()}, "quantization_config": quantisation()}
    with _explained(model):
        base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(model, **options)
    if quantised:
        from peft import prepare_model_for_kbit_training

        base = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
            base, gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    return base


def linear_layers(model: "PreTrainedModel") -> list[str]:
    """Return the names of all linear layers that text goes through: not the output's, nor those for pictures."""
    decoder = set(map(id, model.get_decoder().modules()))  # type: ignore[no-untyped-call]
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D)) and id(module) in decoder
    ]
