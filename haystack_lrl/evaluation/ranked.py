"""The systems of a table, ranked: BM25, models loaded one after the other, the hybrid, and rankings from files."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from haystack_lrl.evaluation.contenders import BM25, HYBRID, Contender, Contest, load_contender, tokenizer_of
from haystack_lrl.evaluation.per_query import Features, features
from haystack_lrl.evaluation.run_file import read_run
from haystack_lrl.evaluation.runs import Run, bm25_run, encoded, exact_run, hybrid_run
from haystack_lrl.evaluation.separation import separation
from haystack_lrl.evaluation.systems import System
from haystack_lrl.evaluation.testset import TestSet
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError

logger = logging.getLogger(__name__)


def bm25_system(test_set: TestSet) -> System:
    """Rank by BM25 and say with which tokens."""
    table = language(test_set.language)
    note = f"character {table.ngram}-grams" if table.ngram else f"words cut to {table.prefix} letters"
    return System(BM25, "lexical", bm25_run(test_set), note, len(test_set.documents))


def hybrid_system(lexical: System, dense: System, weight: float) -> System:
    """Fuse BM25 and an encoder, seed by seed."""
    run, *seeds = [hybrid_run(lexical.run, own, weight) for own in (dense.run, *dense.seeds)]
    note = f"BM25 and {dense.name}, dense weight {weight:g}"
    return System(HYBRID, "hybrid", run, note, dense.passages, dense.cut, seeds)


@dataclass
class Ranked:
    """Every system on every test set.

    :param systems: in the order of the table, by the position of the test set.
    :param separations: histograms of the first test set's cosines, by system.
    :param dimensions: of the vectors, by system.
    :param exports: systems that are exported models.
    :param features: of the first test set's queries, unknown words as the reference's tokenizer sees them.
    """

    systems: list[list[System]]
    separations: dict[str, dict[str, Any]] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)
    exports: set[str] = field(default_factory=set)
    features: Features = field(default_factory=dict)


def rank(
    test_sets: Sequence[TestSet],
    asked: Contest,
    *,
    reference: str,
    hybrid_weight: float,
    split: bool,
    progress: bool,
) -> Ranked:
    """Rank the test sets by everything that is asked for; one model is in memory at a time.

    :param test_sets: rankings from files are of the first.
    :param reference: the system whose tokenizer says which words are unknown.
    :raises InputError: for a model that cannot be loaded, vectors that are no numbers, and a damaged ranking.
    """
    files = [System(name, "run", read_run(path, test_sets[0]), path.name) for name, path in asked.runs]
    ranked = Ranked([[bm25_system(test_set)] for test_set in test_sets])
    lexical = [systems[0] for systems in ranked.systems]
    fused: Sequence[System] = ()
    for contender in dict.fromkeys([*asked.contenders, *([asked.hybrid] if asked.hybrid else [])]):
        dense = _rank_model(test_sets, contender, ranked, reference == contender.name, split=split, progress=progress)
        if contender in asked.contenders:
            for systems, system in zip(ranked.systems, dense, strict=True):
                systems.append(system)
        if contender == asked.hybrid:
            fused = [hybrid_system(*both, hybrid_weight) for both in zip(lexical, dense, strict=True)]
    ranked.systems[0] += files
    for systems, system in zip(ranked.systems, fused, strict=False):  # without a model there is no hybrid
        systems.append(system)
    ranked.features = ranked.features or features(test_sets[0], None)
    return ranked


def _rank_model(
    test_sets: Sequence[TestSet], contender: Contender, ranked: Ranked, refers: bool, *, split: bool, progress: bool
) -> list[System]:
    """Return the contender's system on each test set, and note what else is known of its first model."""
    seeds: list[list[tuple[Run, int, float]]] = []
    for model in contender.models:
        logger.info("%s: %s ...", contender.name, model)
        encoder = load_contender(model, progress=progress)
        rankings = []
        for test_set in test_sets:
            vectors = encoded(test_set, encoder, split=split, name=model)
            rankings.append((exact_run(test_set, vectors), len(vectors.passages), vectors.cut))
            if test_set is test_sets[0]:
                _same_dimension(ranked.dimensions, contender, model, vectors.queries.shape[1])
                if not seeds:
                    ranked.separations[contender.name] = separation(test_set, vectors).to_json()
        if refers and not seeds:
            ranked.features = features(test_sets[0], tokenizer_of(encoder))
        seeds.append(rankings)
    if contender.export:
        ranked.exports.add(contender.name)
    note = f"mean of {len(seeds)} seeds, rankings of the first" if len(seeds) > 1 else contender.export
    return [
        System(contender.name, "dense", run, note, passages, cut, [later[place][0] for later in seeds[1:]])
        for place, (run, passages, cut) in enumerate(seeds[0])
    ]


def _same_dimension(known: dict[str, int], contender: Contender, model: str, dimensions: int) -> None:
    if known.setdefault(contender.name, dimensions) != dimensions:
        raise InputError(
            f"{model} has vectors of {dimensions} dimensions, but {contender.models[0]} of {known[contender.name]}: "
            f"seeds of {contender.name!r} must be trainings of one model."
        )


def reference_of(asked: Contest, name: str) -> str:
    """Return what the others are compared with: the name given, else `base`, else the first system.

    :raises InputError: when no system is called so.
    """
    names = [*(one.name for one in asked.contenders), *(run for run, _ in asked.runs)]
    if name and name not in (*names, BM25):
        raise InputError(f"--reference {name!r} is none of the systems {', '.join((*names, BM25))}.")
    return name or ("base" if "base" in names else next(iter(names), BM25))
