"""Texts a second of `ct2:` against `seq2seq:` in one process, on the same weights and beams.

Usage:
    python eval/translation_speed.py --model HF_FOLDER --converted CT2_FOLDER --words WORDS.txt \
        --output eval/results/translation_speed.json

HF_FOLDER and CT2_FOLDER hold the same transliterator of words, for transformers and for CTranslate2; WORDS.txt has a
word a line, and without it words are drawn from the characters of the model's vocabulary. So small a model measures
mostly overhead, so one of 85 million random weights follows, with the layers of OPUS-MT's, which translates to the
length limit: equal work for all. (Where sentences end at different times, transformers goes on until the last of a
batch ends, and CTranslate2 does not.)

Rounds alternate between the backends, which use as many threads. Both run as a user gets them, `seq2seq:` thus in
bfloat16 where the processor has it; `seq2seq: fp32` is what it is where it has not. Processor time says the same as the
clock on an idle machine, and more than the clock on a shared one, where there is one thread.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, M2M100Config, M2M100ForConditionalGeneration, PreTrainedTokenizerFast

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.languages.table import language
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.synthesis.ct2 import CT2Translator
from haystack_lrl.synthesis.seq2seq import Seq2SeqTranslator
from haystack_lrl.synthesis.translator import Translator, Unusable

Rates = dict[str, list[float]]

_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "eng_Latn", "hye_Armn"]
_VOCABULARY = 20_000
_TARGET = language("hye")
_COMPARED = "ct2"


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "converted", "output"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--words", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=92, help="texts a round of the wide model; of words all are taken")
    options = parser.parse_args()
    words = options.words.read_text(encoding="utf-8").split() if options.words else drawn_words(options.model, 600)
    with tempfile.TemporaryDirectory() as folder:
        wide, converted = make_wide_model(Path(folder))
        outcome = {
            "date": time.strftime("%Y-%m-%d"),
            "machine": describe_machine(),
            "threads": torch.get_num_threads(),
            "versions": {name: version(name) for name in ("torch", "transformers", "ctranslate2")}
            | {"python": sys.version.split()[0]},
            "transliterator": {
                "words": options.words.name if options.words else "drawn from the vocabulary",
                **compare(options.model, options.converted, words, options.rounds),
            },
            "wide": compare(wide, converted, drawn_texts(options.texts), options.rounds),
        }
    write_json(options.output, outcome)
    print(json.dumps(outcome, indent=2))


def compare(model: Path, converted: Path, texts: list[str], rounds: int) -> dict[str, Any]:
    """Return rates, ratios and the share of equal outputs, by beam."""
    beams = {}
    for beam in (1, 4):
        # CTranslate2 in 32 bits tells what differs by precision from what differs by search
        exact = CT2Translator(converted, _TARGET, num_beams=beam, compute_type="float32")
        backends: dict[str, Translator] = {
            "seq2seq": Seq2SeqTranslator(str(model), _TARGET, num_beams=beam),
            "seq2seq: fp32": in_fp32(Seq2SeqTranslator(str(model), _TARGET, num_beams=beam)),
            _COMPARED: CT2Translator(converted, _TARGET, num_beams=beam),
        }
        clock, processor, outputs = measure(backends, texts, rounds)
        outputs["ct2: float32"] = translated(exact, texts)
        beams[f"beam {beam}"] = {
            "texts_per_second": clock,
            "texts_per_processor_second": processor,
            "ratio": ratios(clock),
            "ratio by processor time": ratios(processor),
            "output_words": {name: sum(len(text.split()) for text in found) for name, found in outputs.items()},
            "same_output_as_seq2seq_fp32": {
                name: sum(map(str.__eq__, found, outputs["seq2seq: fp32"])) / len(texts)
                for name, found in outputs.items()
            },
        }
    return {"texts": len(texts), **beams}


def measure(
    backends: dict[str, Translator], texts: list[str], rounds: int
) -> tuple[Rates, Rates, dict[str, list[str]]]:
    """Return texts a second of each round, by the clock and by the processor, and what came out."""
    clock: Rates = {name: [] for name in backends}
    processor: Rates = {name: [] for name in backends}
    outputs = {}
    for backend in backends.values():
        translated(backend, texts[:4])  # which loads the weights
    for _ in range(rounds):
        for name, backend in backends.items():
            start, begun = time.perf_counter(), time.process_time()
            outputs[name] = translated(backend, texts)
            clock[name].append(len(texts) / (time.perf_counter() - start))
            processor[name].append(len(texts) / (time.process_time() - begun))
            print(name, f"{clock[name][-1]:.2f} texts/s, {processor[name][-1]:.2f} by processor time", flush=True)
    return clock, processor, outputs


def translated(translator: Translator, texts: list[str]) -> list[str]:
    """Return the translation of each text."""
    return [item[0] for item in translator.translate((text,) for text in texts) if not isinstance(item, Unusable)]


def ratios(rates: Rates) -> dict[str, Any]:
    """Return how many times as fast CTranslate2 is than each other backend: each round's ratio and their median."""
    found = {}
    for name in rates.keys() - {_COMPARED}:
        rounds = [fast / slow for fast, slow in zip(rates[_COMPARED], rates[name], strict=True)]
        found[f"{_COMPARED}/{name}"] = {"median": statistics.median(rounds), "rounds": rounds}
    return dict(sorted(found.items()))


def in_fp32(translator: Seq2SeqTranslator) -> Seq2SeqTranslator:
    """Return a translator whose weights are not rounded to bfloat16."""
    model: Any = M2M100ForConditionalGeneration.from_pretrained(translator.model, dtype=torch.float32)
    model.generation_config.max_length = None
    translator.__dict__["_loaded"] = model.eval()  # where it keeps what it loads at the first text
    return translator


def drawn_words(model: Path, count: int) -> list[str]:
    """Return words of random letters of the model's vocabulary, the same each time."""
    is_source: Callable[[str], bool] = lambda token: "ء" <= token <= "ي"  # noqa: E731
    letters = sorted(filter(is_source, AutoTokenizer.from_pretrained(model).get_vocab()))
    rng = random.Random(0)
    return ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(count)]


def drawn_texts(count: int) -> list[str]:
    """Return sentences of 20 random words of the wide model: as long as each other, so that all have one limit."""
    rng = random.Random(0)
    most = _VOCABULARY - len(_SPECIAL) - 1
    return [" ".join(f"w{rng.randint(0, most)}" for _ in range(20)) for _ in range(count)]


def make_wide_model(folder: Path) -> tuple[Path, Path]:
    """Save a model of NLLB's class with random weights, and convert it to 8 bits."""
    tokens = [*_SPECIAL, *(f"w{number}" for number in range(_VOCABULARY - len(_SPECIAL)))]
    words = Tokenizer(WordLevel({token: place for place, token in enumerate(tokens)}, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    words.post_processor = TemplateProcessing(
        single="eng_Latn $A </s>", special_tokens=[(token, tokens.index(token)) for token in ("eng_Latn", "</s>")]
    )
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=512, **special).save_pretrained(folder / "hf")
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=_VOCABULARY,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        max_position_embeddings=512,
        tie_word_embeddings=False,  # tied random ones repeat one token for ever
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    model: Any = M2M100ForConditionalGeneration(config)
    model.lm_head.weight.data[config.eos_token_id] = 0.0  # it never ends a sentence
    model.save_pretrained(folder / "hf")
    copied = ["tokenizer.json", "tokenizer_config.json"]
    TransformersConverter(str(folder / "hf"), copy_files=copied).convert(str(folder / "ct2"), quantization="int8")
    return folder / "hf", folder / "ct2"


if __name__ == "__main__":
    main()
