"""Peak memory of training: with `training.memory` at 1,024 pairs a step, and against stock settings at 64.

Usage:
    python eval/training_memory.py --work runs/training-memory --output eval/results/training_memory.json

Each shape trains in a process of its own, which reports its highest resident memory: texts as long as training reads,
gradients, optimiser, an evaluation and a checkpoint included. Weights and texts are random, since neither counts here.
Stock settings are those of sentence-transformers' trainer, which reads texts at the model's own length.
"""

import argparse
import json
import multiprocessing
import random
import resource
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.records.jsonl import write_json


@dataclass(frozen=True)
class Shape:
    """A model to train and what it may hold in memory."""

    layers: int
    vocabulary: int
    memory: str | None
    method: str = "full"
    path: str = "fast"
    batch_size: int = 1024
    hidden: int = 384
    max_length: int = 64
    words: int = 64


SHAPES = {
    "MiniLM": Shape(6, 30_522, "4GiB"),
    "MiniLM, 2GiB": Shape(6, 30_522, "2GiB"),
    "mE5-small": Shape(12, 250_002, "8GiB"),
    "mE5-small, LoRA, 4GiB": Shape(12, 250_002, "4GiB", "lora"),
    "MiniLM, 64 pairs of 256 words": Shape(6, 30_522, None, batch_size=64, words=256),
    "MiniLM, 64 pairs of 256 words, stock": Shape(6, 30_522, None, path="stock", batch_size=64, words=256),
}


def build(shape: Shape, folder: Path) -> None:
    """Save a model of the shape whose words are numbers."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = Tokenizer(
        models.WordLevel(
            {word: n for n, word in enumerate(["[UNK]", "[PAD]", *map(str, range(shape.vocabulary - 2))])}, "[UNK]"
        )
    )
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(
        folder / "words"
    )
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=12,
        intermediate_size=4 * shape.hidden,
    )
    BertModel(config).save_pretrained(folder / "words")
    model = SentenceTransformer(
        modules=[Transformer(str(folder / "words"), max_seq_length=256), Pooling(shape.hidden, "mean")], device="cpu"
    )
    model.save_pretrained(str(folder / "model"), create_model_card=False)


def train_shape(shape: Shape, folder: Path, steps: int) -> dict[str, float]:
    """Train and return what it took."""
    from haystack_lrl.adaptation.settings import TrainingSettings
    from haystack_lrl.adaptation.training import train
    from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
    from haystack_lrl.records.pair import Pair, Triplet

    rng = random.Random(13)

    def text() -> str:
        return " ".join(str(rng.randrange(shape.vocabulary - 2)) for _ in range(shape.words))

    model = load_model(folder / "model", device="cpu")
    encoder = SentenceEncoder(model, max_length=shape.max_length)
    texts = [text() for _ in range(300)]
    result = train(
        model,
        [Triplet(Pair(text(), text()), ()) for _ in range(shape.batch_size * steps)],
        {"query": "", "passage": ""},
        TrainingSettings(
            path=shape.path,  # type: ignore[arg-type]
            batch_size=shape.batch_size,
            max_length=shape.max_length,
            memory=shape.memory,
            method=shape.method,  # type: ignore[arg-type]
            warmup=0.0,
            evaluations=1,
        ),
        checkpoints=folder / "checkpoints",
        seed=13,
        dev_ndcg=lambda: float(encoder.encode(texts, "passage")[0, 0]),
        progress=False,
    )
    return {
        "steps": result.steps,
        "mini_batch_size": result.mini_batch_size,
        "pairs_per_second": result.to_json()["pairs_per_second"],
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def measure(shape: Shape, folder: Path, steps: int, answers: "multiprocessing.Queue[dict[str, float]]") -> None:
    """Train in this process and report."""
    answers.put(train_shape(shape, folder, steps))


def in_process(target: object, *arguments: object) -> None:
    """Run a function in a process of its own, whose memory goes with it."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"a process ended with {process.exitcode}")


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    options = parser.parse_args()
    results = {}
    for name in options.shapes:
        shape, folder = SHAPES[name], Path(options.work) / name.replace(", ", "-")
        in_process(build, shape, folder)
        answers: multiprocessing.Queue[dict[str, float]] = multiprocessing.get_context("spawn").Queue()
        in_process(measure, shape, folder, options.steps, answers)
        results[name] = {**asdict(shape), **answers.get()}
        print(name, results[name], flush=True)
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {
            "python": sys.version.split()[0],
            **{
                name: version(name)
                for name in ("haystack-lrl", "torch", "sentence-transformers", "transformers", "peft")
            },
        },
        "shapes": results,
    }
    write_json(Path(options.output), outcome)
    print(json.dumps({name: result["peak_gib"] for name, result in results.items()}, indent=2))


if __name__ == "__main__":
    main()
