"""Training throughput against stock sentence-transformers settings in one process, and the quality of both.

Usage:
    python eval/throughput.py --pairs kept.jsonl --base-model MINILM --test-set TEST_SET \
        --work runs/throughput --output eval/results/throughput.json

Both train on the same pairs with the same batch size, epochs, learning rate and seed. Stock is the library's trainer
with its own defaults for the rest: the model's full length, dropout, fp32, `CachedMultipleNegativesRankingLoss` with
mini-batches of 32, and the no-duplicates sampler. Short trainings alternate for the ratio; one longer training each
for the quality, on truncated documents, merged at 0.5.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from haystack_lrl.adaptation.settings import TrainingSettings
from haystack_lrl.curation.split import split_pairs
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model, model_prompts
from haystack_lrl.encoding.hardware import describe_machine
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.evaluation.statistics import bootstrap, paired
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.languages.table import language
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.records.pair import read_pairs
from haystack_lrl.stages import DevSet, Trainer, as_rows, merge_at

_FAST = TrainingSettings(epochs=1, evaluations=1)
_VARIANTS = {
    "stock": replace(_FAST, path="stock"),
    "fast": _FAST,
}


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pairs", "base-model", "test-set", "work", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", type=int, default=256, help="pairs of a short training")
    parser.add_argument("--long", type=int, default=1500, help="pairs of the training for quality")
    options = parser.parse_args()
    split = split_pairs(read_pairs(Path(options.pairs)), dev=60, held_out=0, seed=13)
    dev = DevSet.of(split, language("epo"))
    prompts = model_prompts(load_model(options.base_model))

    def train(name: str, pairs: int):  # noqa: ANN202
        shutil.rmtree(options.work, ignore_errors=True)
        model = load_model(options.base_model)
        trainer = Trainer(prompts, _VARIANTS[name], dev, 13, Path(options.work), progress=False)
        return model, trainer.train(model, as_rows(split.train[:pairs]), "model")

    rates: dict[str, list[float]] = {name: [] for name in _VARIANTS}
    for _ in range(options.rounds):
        for name, measured in rates.items():
            measured.append(train(name, options.short)[1].to_json()["pairs_per_second"])
            print(name, measured[-1], flush=True)
    test_set = load_test_set(Path(options.test_set), "epo")
    values, long_rates = {}, {}
    for name in ("stock", "fast"):
        model, result = train(name, options.long)
        long_rates[name] = result.to_json()["pairs_per_second"]
        base = load_model(options.base_model)
        merge_at(base, model, 0.5)
        values[name] = measure(test_set, dense_run(test_set, SentenceEncoder(base), split=False).run)[PRIMARY]
        print(name, long_rates[name], values[name].mean(), flush=True)
    ratios = [fast / stock for fast, stock in zip(rates["fast"], rates["stock"], strict=True)]
    outcome = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "versions": {n: version(n) for n in ("torch", "transformers", "sentence-transformers")}
        | {"python": sys.version.split()[0]},
        "pairs_per_second": rates,
        "ratio fast/stock": {"median": statistics.median(ratios), "rounds": ratios},
        "long": {
            "pairs": options.long,
            "pairs_per_second": long_rates,
            "ratio": long_rates["fast"] / long_rates["stock"],
            "nDCG@10": {name: bootstrap(value).to_json() for name, value in values.items()},
            "difference fast - stock": paired(values["fast"], values["stock"]).to_json(),
        },
    }
    write_json(Path(options.output), outcome)
    print(json.dumps(outcome, indent=2))


if __name__ == "__main__":
    main()
