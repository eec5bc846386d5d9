"""Train, merge and evaluate over files, outside a run directory."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.card import model_card
from haystack_lrl.adaptation.merging import MergeResult, copy_state, soup
from haystack_lrl.adaptation.saving import save_model
from haystack_lrl.curation.mixture import read_mixture
from haystack_lrl.curation.split import split_pairs
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.evaluation.benchmarks.catalog import open_test_set
from haystack_lrl.evaluation.leaks import check_leaks, leak_warnings
from haystack_lrl.evaluation.ranked import bm25_system, hybrid_system
from haystack_lrl.evaluation.systems import score
from haystack_lrl.languages.table import language
from haystack_lrl.measure import dense_system
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.pair import Triplet, read_pairs, read_triplets
from haystack_lrl.stages import DevSet, Trainer, prompts_of


def _trainer(
    pairs: Path, recipe: Recipe, checkpoints: Path, *, progress: bool
) -> tuple[Trainer, SentenceTransformer, list[Triplet]]:
    """Return trainer, base model and training rows of a file, a tenth of its passages set aside as dev pairs."""
    rows = list(read_triplets(pairs))
    split = split_pairs(
        (row.pair for row in rows), dev=min(recipe.evaluation.dev, len(rows) // 10), held_out=0, seed=recipe.seed
    )
    dev = DevSet.of(split, language(recipe.language), recipe.merge.retention)
    trained = set(split.train)
    base = _base(recipe)
    prompts = prompts_of(recipe, base)
    tasks = read_mixture(recipe.mixture, prompts, {pair.group for pair in split.dev})
    trainer = Trainer(prompts, recipe.training, dev, recipe.seed, checkpoints, progress, tasks)
    return trainer, base, [row for row in rows if row.pair in trained]


def _base(recipe: Recipe) -> SentenceTransformer:
    return load_model(recipe.base_model, revision=recipe.revision)


def train_file(pairs: Path, output: Path, recipe: Recipe, *, progress: bool = True) -> dict[str, Any]:
    """Train the recipe's base model on a file of pairs or triplets, merge.soup times, and save it.

    :returns: the summary of training, as metrics.json holds it.
    :raises InputError: for what is wrong with the file or the base model.
    """
    trainer, _, rows = _trainer(pairs, recipe, output.with_name(output.name + ".checkpoints"), progress=progress)
    model, summary = trainer.train_soup(lambda: _base(recipe), rows, "train", recipe.merge.soup)
    save_model(model, output, trainer.prompts, _card(recipe, "before merging with the base"))
    shutil.rmtree(trainer.checkpoints, ignore_errors=True)
    return summary


def merge_files(pairs: Path, adapted: Sequence[Path], output: Path, recipe: Recipe) -> MergeResult:
    """Average adapted models, merge the average with the recipe's base model and save the result.

    :param pairs: the file that training read, whose dev split chooses among merge.weights.
    :param adapted: folders of models that were trained from this base, such as with several seeds.
    """
    trainer, base, _ = _trainer(pairs, recipe, output.with_name(output.name + ".checkpoints"), progress=False)
    models = [load_model(folder) for folder in adapted]
    models[0].load_state_dict(soup([copy_state(model) for model in models]))
    result = trainer.merge(base, models[0], recipe.merge)
    what = f"the average of {len(models)} trainings, " if len(models) > 1 else ""
    what += f"merged with the base at weight {result.chosen:g}"
    save_model(base, output, trainer.prompts, _card(recipe, what))
    return result


def evaluate_models(
    place: str | Path,
    code: str,
    base_model: str,
    models: Sequence[str],
    *,
    hybrid_weight: float,
    split: bool,
    training: Path | None = None,
    allow_leaks: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure BM25, the base, the models, and the hybrid of BM25 and the last model, as metrics.json holds it.

    :param place: a BEIR folder, or `NAME:FOLDER` of a retrieval benchmark.
    :param training: pairs that the models were trained on.
    :raises InputError: when the test set holds texts of the training pairs, unless that is allowed.
    """
    test_set = open_test_set(place, code)
    found = check_leaks([test_set], read_pairs(training), allow=allow_leaks) if training else {}
    lexical = bm25_system(test_set)
    names = {"base": base_model, **{str(model): str(model) for model in models}}
    dense = [
        dense_system(name, test_set, SentenceEncoder.from_path(path, progress=progress), split=split)
        for name, path in names.items()
    ]
    systems = [lexical, *dense, hybrid_system(lexical, dense[-1], hybrid_weight)]
    spoken = language(code)
    return {
        "version": 1,
        "language": {"code": spoken.code, "name": spoken.name},
        "title": f"{test_set.name}: {spoken.name}",
        "test_sets": [score(test_set, "test", systems, split=split).to_json()],
        "warnings": leak_warnings(found),
    }


def _card(recipe: Recipe, what: str) -> str:
    import haystack_lrl

    return model_card(recipe.to_tree(), {"haystack_lrl": haystack_lrl.__version__, "stages": {}}, what, None)
