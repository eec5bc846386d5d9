"""The evaluation stage of a run: every system on every test set, and what else metrics.json holds."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

from haystack_lrl.curation.split import Split, one_a_passage
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model, model_prompts
from haystack_lrl.evaluation import leaks
from haystack_lrl.evaluation.metrics import PRIMARY
from haystack_lrl.evaluation.ranked import bm25_system, hybrid_system
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.evaluation.statistics import bootstrap
from haystack_lrl.evaluation.systems import Scored, System, changes, score, verdict
from haystack_lrl.evaluation.testset import TestSet, load_test_set, test_set_of_pairs
from haystack_lrl.languages.table import language
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.pair import Pair
from haystack_lrl.rundir import RunDirectory

logger = logging.getLogger(__name__)

_NOTES = {
    "base": "before adaptation",
    "control": "same pairs left in English",
    "grown": "words of the language added, not trained",
    "settled": "their vectors trained, and nothing else",
    "adapted": "after training",
    "merged": "adapted, averaged with the base",
}
# equal shares: on dev pairs, which are translations, the adapted model looks stronger and BM25 weaker than on people's
# own text, and a weight chosen there lost to BM25 alone (eval/README.md)
_HYBRID_WEIGHT = 0.5


def primary_test_set(recipe: Recipe, split: Split) -> TestSet:
    """Return the test set that decides: the recipe's first one, else the pairs held out of training."""
    if recipe.evaluation.test_sets:
        return load_test_set(Path(recipe.evaluation.test_sets[0]), recipe.language)
    return test_set_of_pairs("held-out pairs", recipe.language, one_a_passage(split.held_out))


def dense_system(name: str, test_set: TestSet, encoder: SentenceEncoder, *, split: bool, note: str = "") -> System:
    """Rank by an encoder and say what it would cut off."""
    logger.info("%s on %s ...", name, test_set.name)
    ranked = dense_run(test_set, encoder, split=split, name=name)
    return System(name, "dense", ranked.run, note, ranked.passages, ranked.cut)


def measure_run(run: RunDirectory, split: Split, base: SentenceTransformer) -> dict[str, Any]:
    """Measure the models of a run on all of its test sets and return what metrics.json holds."""
    encoders = _encoders(run, base)
    tables = [
        _table(test_set, role, encoders, split=run.recipe.evaluation.split)
        for test_set, role in _test_sets(run.recipe, split)
    ]
    first = tables[0]
    stages = run.manifest()["stages"]
    spoken = language(run.recipe.language)
    return {
        "version": 1,
        "language": {"code": spoken.code, "name": spoken.name},
        "title": f"{run.folder.name}: {spoken.name}",
        "verdict": verdict(first),
        "test_sets": [table.to_json() for table in tables],
        "changes": changes(first, "merged"),
        "forgetting": [forgetting(table) for table in tables if table.role == "retention"],
        "merge": stages["merge"]["merge"],
        "hybrid_weight": _HYBRID_WEIGHT,
        **_curve(run, first, stages),
        "rows": {name: stage["rows"] for name, stage in stages.items() if "rows" in stage},
        "split": stages["train"]["split"],
        "training": stages["train"]["training"],
        "timings": {name: stage["seconds"] for name, stage in stages.items()},
        "versions": run.manifest()["versions"],
        "machine": run.manifest()["machine"],
        "recipe": run.recipe.to_tree(),
        "warnings": _warnings(run, tables),
    }


def _encoders(run: RunDirectory, base: SentenceTransformer) -> dict[str, SentenceEncoder]:
    """Return the models in the order of the table, the base with the prompts that the adapted ones carry."""
    folders = {"control": "control", "grown": "grown", "settled": "settled", "adapted": "adapted", "merged": "model"}
    wanted = {"adapted", "merged"}
    wanted |= {"control"} if run.recipe.control else set()
    stages = run.manifest()["stages"]
    wanted |= {"grown"} if stages.get("grow", {}).get("vocabulary") else set()
    wanted |= {"settled"} if stages.get("settle", {}).get("settling") else set()
    merged = load_model(run.path("model"))
    encoders = {"base": SentenceEncoder(base, prompts=model_prompts(merged), progress=run.progress)}
    for name, folder in folders.items():
        if name in wanted:
            encoders[name] = SentenceEncoder.from_path(run.path(folder), progress=run.progress)
    return encoders


def _test_sets(recipe: Recipe, split: Split) -> list[tuple[TestSet, str]]:
    """Return the test sets with their roles; English pairs stand in where no retention set is given."""
    settings = recipe.evaluation
    sets = [(primary_test_set(recipe, split), "test" if settings.test_sets else "held-out")]
    sets += [(load_test_set(Path(folder), recipe.language), "test") for folder in settings.test_sets[1:]]
    sets += [(test_set, "retention") for test_set in _retention_sets(recipe)]
    if not any(test_set.language == "eng" for test_set, role in sets if role == "retention"):
        english = one_a_passage([pair.in_english() for pair in split.held_out or split.dev if pair.english_passage])
        sets.append((test_set_of_pairs("English side of held-out pairs", "eng", english), "retention"))
    return [(test_set, role) for test_set, role in sets if test_set.queries]


def _retention_sets(recipe: Recipe) -> list[TestSet]:
    retention = recipe.evaluation.retention
    return [load_test_set(Path(folder), language(code).code) for code, folder in retention.items()]


def check_leaks(recipe: Recipe, rows: Iterable[Pair]) -> dict[str, Any]:
    """Look for everything that is trained on in all test sets of a recipe: see `evaluation.leaks`."""
    given = [load_test_set(Path(folder), recipe.language) for folder in recipe.evaluation.test_sets]
    return leaks.check_leaks([*given, *_retention_sets(recipe)], rows, allow=recipe.evaluation.allow_leaks)


def _table(test_set: TestSet, role: str, encoders: Mapping[str, SentenceEncoder], *, split: bool) -> Scored:
    lexical = bm25_system(test_set)
    dense = [dense_system(name, test_set, e, split=split, note=_NOTES[name]) for name, e in encoders.items()]
    hybrid = hybrid_system(lexical, dense[-1], _HYBRID_WEIGHT)
    return score(test_set, role, [lexical, *dense, hybrid], split=split)


def forgetting(table: Scored) -> dict[str, Any]:
    """Return what the merged model does in a language that it must not forget, beside the base."""
    return {
        "language": language(table.test_set.language).name,
        "test_set": table.test_set.name,
        "before": table.mean("base"),
        "after": table.mean("merged"),
        "difference": table.difference("merged").to_json(),
    }


def _curve(run: RunDirectory, first: Scored, stages: Mapping[str, Any]) -> dict[str, Any]:
    if not run.recipe.evaluation.curve:
        return {}
    values = {int(size): np.array(v) for size, v in run.read("curve.json").items()}
    values[stages["train"]["training"]["pairs"]] = first.values["merged"][PRIMARY]
    return {
        "curve": [{"pairs": size, **bootstrap(values[size]).to_json()} for size in sorted(values)],
        "curve_baselines": {name: first.mean(name) for name in ("base", "control", "BM25") if name in first.values},
    }


def _warnings(run: RunDirectory, tables: Sequence[Scored]) -> list[str]:
    """Return what a reader should know before believing a number."""
    warnings = []
    if tables[0].role == "held-out":
        warnings.append(
            "No test set was given: the language is measured on translated pairs held out of training, which are as "
            "noisy as the translator and easier than people's own text."
        )
    queries = len(tables[0].test_set.queries)
    if queries < 100:
        warnings.append(f"{queries} queries are few: only large differences can be told from chance.")
    stages = run.manifest()["stages"]
    warnings += leaks.leak_warnings(stages["train"].get("leaks", {}))
    return [*warnings, *_forgetting_warnings(stages["merge"]["merge"], tables)]


def _forgetting_warnings(merge: Mapping[str, Any], tables: Sequence[Scored]) -> list[str]:
    warnings = []
    chosen = next(point for point in merge["points"] if point["weight"] == merge["chosen"])
    lost = [code for code, kept in chosen["retained"].items() if kept["mean"] < merge["floors"][code]]
    if lost:
        names = " and ".join(language(code).name for code in lost)
        warnings.append(f"Every merge weight cost more {names} than merge.english_drop allows: the lowest was taken.")
    retained = {table.test_set.language for table in tables if table.role == "retention"}
    if not retained - {"eng", tables[0].test_set.language}:
        warnings.append(
            "No related language was measured: what adaptation cost the languages that speakers also search in is "
            "unknown; give test sets of them with --retention CODE=FOLDER."
        )
    return warnings
