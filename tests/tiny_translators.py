"""Tiny translation models with random weights behind the tokenizers of real ones, made on the spot."""

import json
import random
from pathlib import Path

import sentencepiece
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)

WORDS = ["the", "cat", "sleeps", "on", "a", "mat", "and", "dogs", "do", "not", "like", "it", "much"]
POSITIONS = 64

_SHAPE = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": POSITIONS,
    "init_std": 0.4,  # far from ties, which rounding would break
}


def save(model, tokenizer, folder: Path) -> Path:
    tokenizer.model_max_length = POSITIONS
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pieces(path: Path) -> list[str]:
    """Train a sentencepiece model, and return its pieces without the special ones."""
    lines = [" ".join(random.Random(n).choices(WORDS, k=8)) for n in range(50)]
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=file, vocab_size=30, minloglevel=2
        )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [processor.id_to_piece(number) for number in range(3, len(processor))]


def m2m100_model(tokenizer, size):
    torch.manual_seed(0)
    return M2M100ForConditionalGeneration(
        M2M100Config(
            vocab_size=size,
            tie_word_embeddings=False,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.eos_token_id,
            **_SHAPE,
        )
    )


def make_nllb(folder: Path) -> Path:
    characters = sorted(set("".join(WORDS)) | set(".!▁"))
    vocab = {token: place for place, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *characters])}
    tokenizer = NllbTokenizer(vocab=vocab, merges=[])
    return save(m2m100_model(tokenizer, len(tokenizer)), tokenizer, folder)


def make_m2m100(folder: Path) -> Path:
    folder.mkdir()
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces(folder / "spm.model")]
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"))
    languages = list(tokenizer.lang_token_to_id)
    save(m2m100_model(tokenizer, len(tokens) + len(languages) + tokenizer.num_madeup_words), tokenizer, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    # without them in the tokenizer's settings the converter misses them, which are no tokens for transformers 5
    settings["additional_special_tokens"] = languages
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def make_opus(folder: Path) -> Path:
    """Make a model of several target languages; its tokenizer's settings name no class, as those of OPUS-MT."""
    folder.mkdir()
    found = pieces(folder / "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    tokens = ["</s>", "<unk>", *found, ">>hye<<", ">>kat<<", "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    files = {"source_spm": "source.spm", "target_spm": "target.spm", "vocab": "vocab.json"}
    tokenizer = MarianTokenizer(**{name: str(folder / file) for name, file in files.items()})
    pad = tokenizer.pad_token_id
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(tokens),
        pad_token_id=pad,
        decoder_start_token_id=pad,
        bos_token_id=0,
        eos_token_id=0,
        forced_eos_token_id=None,
        **_SHAPE,
    )
    model = MarianMTModel(config)
    model.generation_config.bad_words_ids = [[pad]]  # as OPUS-MT has it
    save(model, tokenizer, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": settings["model_max_length"]}))
    return folder


def make_madlad(folder: Path) -> Path:
    characters = sorted(set("".join(WORDS)) | set(".!"))
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in characters)]
    tokenizer = T5Tokenizer(vocab=[*vocab, ("<2hy>", 0.0), ("<2ka>", 0.0)], extra_ids=0)
    tokenizer.add_tokens(["<2hy>", "<2ka>"])
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        initializer_factor=1.0,
    )
    return save(T5ForConditionalGeneration(config), tokenizer, folder)


MAKERS = {"nllb": make_nllb, "m2m100": make_m2m100, "opus": make_opus, "madlad": make_madlad}
