"""Rows per minute through a chat server: several requests in flight against one at a time, same server, same rows.

Usage:
    LLAMA_SERVER=PATH python eval/requests_in_flight.py --model FILE.gguf --output eval/results/requests_in_flight.json
    LLAMA_SERVER=PATH python eval/requests_in_flight.py --model FILE.gguf --width 1024 --output ...

`--width` makes a Llama of random bfloat16 weights that wide, with FILE's tokenizer, since a model of a few hundred
thousand weights spends its time outside of what slots share: the reading of the weights, once a token for all slots.
What a model says costs as much as what another says, where answers have one length. (Needs pip install gguf.) Questions
begin alike, as the prompts of the commands do.

llama-server runs with 4 slots on this machine. The loop asks one question, waits for the answer and asks the next, as
a `for` over a ChatGenerator does; `in flight` is what the commands do. Rounds alternate. Answers have a fixed number
of tokens, so that both do the same work.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.synthesis.chat import ChatModel, Question
from haystack_lrl.synthesis.generators import load_chat
from haystack_lrl.synthesis.llama_server import SLOTS

_LAYERS = 8


def widen(model: Path, width: int, folder: Path) -> Path:
    """Save a Llama of random bfloat16 weights with another one's tokenizer."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
    from gguf.quants import quantize

    path = folder / f"random-{width}.gguf"
    writer = GGUFWriter(path, "llama")
    for name, kept in GGUFReader(model).fields.items():
        if name.startswith("tokenizer."):
            kind, *inner = kept.types
            writer.add_key_value(name, kept.contents(), kind, inner[0] if inner else None)
    tokens = 512
    shape: dict[str, Any] = {
        "context_length": 2048,
        "embedding_length": width,
        "block_count": _LAYERS,
        "feed_forward_length": 4 * width,
        "attention.head_count": width // 64,
        "attention.head_count_kv": width // 64,
        "rope.dimension_count": 64,
        "vocab_size": tokens,
    }
    for name, value in shape.items():
        writer.add_key_value(f"llama.{name}", value, GGUFValueType.UINT32)
    writer.add_layer_norm_rms_eps(1e-5)
    rng = np.random.default_rng(0)

    def add(name: str, *size: int) -> None:
        weights = rng.standard_normal(size, dtype=np.float32) * width**-0.5
        kind = GGMLQuantizationType.BF16
        writer.add_tensor(name, quantize(weights, kind), raw_dtype=kind)

    add("token_embd.weight", tokens, width)
    add("output.weight", tokens, width)
    norms = ["output_norm", *(f"blk.{n}.{kind}_norm" for n in range(_LAYERS) for kind in ("attn", "ffn"))]
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))
    for number in range(_LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{number}.{name}.weight", width, width)
        for name in ("ffn_gate", "ffn_up"):
            add(f"blk.{number}.{name}.weight", 4 * width, width)
        add(f"blk.{number}.ffn_down.weight", width, 4 * width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rows_per_second(chat: ChatModel, workers: int, rows: int, first: int) -> float:
    """Ask that many questions, none of which the server has seen before."""
    model = ChatModel(chat.generator, model=chat.identity, workers=workers)
    start = time.monotonic()
    for _ in model.answers(
        Question(f"{'Once upon a time there was a cat. ' * 6} {n}") for n in range(first, first + rows)
    ):
        pass
    return rows / (time.monotonic() - start)


def measure(path: Path, rows: int, tokens: int, rounds: int) -> dict[str, list[float]]:
    """Return rows a second of each round, one at a time and in flight."""
    chat = load_chat(str(path))
    chat.generator.generation_kwargs |= {"max_completion_tokens": tokens, "extra_body": {"ignore_eos": True}}
    chat.warm_up()
    rates: dict[str, list[float]] = {"one at a time": [], "in flight": []}
    rows_per_second(chat, SLOTS, SLOTS, 10**6)
    for number in range(rounds):
        for place, (name, workers) in enumerate((("one at a time", 1), ("in flight", chat.workers))):
            rates[name].append(rows_per_second(chat, workers, rows, (2 * number + place) * rows))
            print(name, round(rates[name][-1], 2), flush=True)
    return rates


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--width", type=int)
    parser.add_argument("--output", required=True)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=200, help="of each answer")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = widen(options.model, options.width, Path(folder)) if options.width else options.model
        rates = measure(model, options.rows, options.tokens, options.rounds)
    ratios = [many / one for one, many in zip(rates["one at a time"], rates["in flight"], strict=True)]
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {n: version(n) for n in ("haystack-ai", "openai")} | {"python": sys.version.split()[0]},
        "model": f"random bfloat16 weights, width {options.width}, {_LAYERS} layers"
        if options.width
        else options.model.name,
        "slots": SLOTS,
        "rows": options.rows,
        "tokens": options.tokens,
        "rows_per_second": rates,
        "ratio": {"median": statistics.median(ratios), "rounds": ratios},
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(outcome["ratio"], indent=2))


if __name__ == "__main__":
    main()
