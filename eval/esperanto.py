"""Adapt an English-only encoder to Esperanto and measure it on people's own text, three seeds.

Usage:
    python eval/esperanto.py --seeds SEEDS.jsonl --base-model MINILM --test-set epo-globalvoices \
        --retention eng-xquad --work runs/esperanto --output eval/results/esperanto.json

SEEDS.jsonl holds the English pairs; the translator is Apertium. The first seed also trains the untranslated control
and the data-size curve; the others share its translations and filters and differ in split, order and training.
"""

import argparse
import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from haystack_lrl.files import evaluate_models
from haystack_lrl.recipe import Recipe, build
from haystack_lrl.records.jsonl import write_json
from haystack_lrl.run import adapt
from haystack_lrl.rundir import RunDirectory

_SHARED = ("pairs.jsonl", "kept.jsonl", "rejected.jsonl")


def recipe(options: argparse.Namespace, seed: int, *, first: bool) -> Recipe:
    """Return the default recipe with the benchmark's paths."""
    return build(
        {
            "language": "epo",
            "seeds": options.seeds,
            "translator": "command:apertium -u en-eo",
            "base_model": options.base_model,
            "seed": seed,
            "control": first,
            "evaluation": {
                "test_sets": [options.test_set],
                "retention": {"eng": options.retention},
                "curve": [500, 2000] if first else [],
            },
        },
        "the benchmark",
    )


def share_translations(first: Path, run: RunDirectory) -> None:
    """Give a run the translations and filters of the first one, which do not depend on the training seed."""
    if run.path("kept.jsonl").exists():
        return
    for name in _SHARED:
        shutil.copy(first / name, run.path(name))
    stages = json.loads((first / "manifest.json").read_text(encoding="utf-8"))["stages"]
    manifest = run.manifest()
    manifest["stages"] = {name: stages[name] for name in ("translate", "filter")}
    write_json(run.path("manifest.json"), manifest)


def systems(table: dict[str, Any]) -> dict[str, float]:
    """Return nDCG@10 by system."""
    return {system["name"]: system["metrics"]["nDCG@10"]["mean"] for system in table["test_sets"][0]["systems"]}


def spread(values: list[float]) -> float | None:
    """Return the standard deviation over seeds; None for one."""
    return statistics.stdev(values) if len(values) > 1 else None


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("seeds", "base-model", "test-set", "retention", "work", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--training-seeds", type=int, nargs="+", default=[13, 14, 15])
    options = parser.parse_args()
    work = Path(options.work)
    runs = {}
    for number, seed in enumerate(options.training_seeds):
        folder = work / f"seed-{seed}"
        wanted = recipe(options, seed, first=number == 0)
        if number:
            share_translations(work / f"seed-{options.training_seeds[0]}", RunDirectory.claim(folder, wanted))
        runs[seed] = adapt(wanted, folder)
    models = {seed: str(work / f"seed-{seed}" / "model") for seed in runs}
    truncated = evaluate_models(
        Path(options.test_set), "epo", options.base_model, list(models.values()), hybrid_weight=0.5, split=False
    )
    for system in truncated["test_sets"][0]["systems"]:
        for seed, model in models.items():
            system |= {key: system[key].replace(model, f"merged, seed {seed}") for key in ("name", "note")}
    merged = [run["test_sets"][0]["systems"][-2]["metrics"]["nDCG@10"]["mean"] for run in runs.values()]
    whole = [systems(truncated)[f"merged, seed {seed}"] for seed in models]
    english = [next(s for s in run["test_sets"][1]["systems"] if s["name"] == "merged") for run in runs.values()]
    summary = {
        "best passage": {"mean": statistics.mean(merged), "spread": spread(merged), "seeds": merged},
        "truncated document": {"mean": statistics.mean(whole), "spread": spread(whole), "seeds": whole},
        "English, difference to base": [system["difference"] for system in english],
    }
    first = next(iter(runs.values()))
    kept = ("verdict", "test_sets", "merge", "hybrid_weight", "curve", "curve_baselines", "rows", "split", "training")
    write_json(
        Path(options.output),
        {
            "date": time.strftime("%Y-%m-%d"),
            "machine": first["machine"],
            "versions": first["versions"],
            "summary": summary,
            "truncated": truncated["test_sets"],
            "runs": {seed: {name: run[name] for name in kept if name in run} for seed, run in runs.items()},
        },
    )
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
