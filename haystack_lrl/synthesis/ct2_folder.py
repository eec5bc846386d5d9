"""The folder of a model that CTranslate2 runs: the converted weights, their vocabularies, and a tokenizer."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haystack_lrl.records.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SPECIAL = {"<blank>", "<s>", "</s>", "<unk>"}  # OpenNMT's, in every vocabulary
_CONVERT = (
    "ct2-transformers-converter --model MODEL --output_dir FOLDER --copy_files tokenizer_config.json and the others of "
    "the model's tokenizer: tokenizer.json, sentencepiece.bpe.model, vocab.json, source.spm, target.spm"
)


def load_vocabularies(folder: Path) -> tuple[list[str], list[str]]:
    """Return the tokens that a converted translation model reads and writes, by their numbers.

    :raises InputError: when the folder holds no converted model, or one that does not translate.
    """
    if not (folder / "model.bin").is_file():
        raise InputError(f"The folder {folder} holds no CTranslate2 model (model.bin): make one with {_CONVERT}.")
    shared = _load_vocabulary(folder, "shared")
    source, target = shared or _load_vocabulary(folder, "source"), shared or _load_vocabulary(folder, "target")
    if not source or not target:  # a language model's lies in vocabulary.json
        raise InputError(
            f"The model in {folder} does not translate, since it lacks the vocabularies of an encoder-decoder model "
            "(shared_vocabulary, or source_vocabulary and target_vocabulary): convert a translation model."
        )
    return source, target


def _load_vocabulary(folder: Path, name: str) -> list[str]:
    """Return the tokens of one vocabulary; none where there is no such file."""
    path = folder / f"{name}_vocabulary.json"
    if path.is_file():
        tokens: list[str] = json.loads(path.read_text(encoding="utf-8"))
        return tokens
    path = path.with_suffix(".txt")  # before CTranslate2 3.14
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n") if path.is_file() else []


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """Return the tokenizer beside a converted model, or where it reads characters the one that its vocabularies make.

    :raises InputError: when there is no model, no tokenizer, or one that does not fit the model.
    """
    from transformers import AutoTokenizer, MarianTokenizer

    source, target = load_vocabularies(folder)
    if not (folder / "tokenizer_config.json").is_file():
        return _character_tokenizer(folder, source, target)
    # what OPUS-MT copies does not say its class, and config.json is CTranslate2's own here
    kind = MarianTokenizer if (folder / "source.spm").is_file() else AutoTokenizer
    try:
        tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(folder)
    except (OSError, TypeError, ValueError) as error:  # a TypeError where a file of the tokenizer is missing
        reason = str(error).splitlines()[0]
        raise InputError(f"The tokenizer in {folder} cannot be loaded ({reason}): make it with {_CONVERT}.") from error
    if len(tokenizer.get_vocab().keys() & set(source)) < len(source) / 2:  # transformers makes up what is missing
        raise InputError(
            f"The tokenizer in {folder} knows too few of the model's tokens to be its own and whole: make it with "
            f"{_CONVERT}."
        )
    return tokenizer


def _character_tokenizer(folder: Path, source: list[str], target: list[str]) -> "PreTrainedTokenizerBase":
    """Return the tokenizer of an OpenNMT model of characters, which needs no files of its own."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.decoders import Fuse
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    tokens = list(dict.fromkeys(["<unk>", *source, *target]))
    if any(len(token) > 1 and token not in _SPECIAL for token in tokens):
        raise InputError(f"The folder {folder} holds no tokenizer (tokenizer_config.json): make it with {_CONVERT}.")
    characters = Tokenizer(WordLevel({token: place for place, token in enumerate(tokens)}, unk_token="<unk>"))
    characters.pre_tokenizer = Split(Regex("."), "isolated")
    characters.decoder = Fuse()
    fast: Any = PreTrainedTokenizerFast  # transformers leaves its constructor untyped
    tokenizer: PreTrainedTokenizerBase = fast(tokenizer_object=characters, unk_token="<unk>")
    return tokenizer
