"""Train, merge and evaluate over files, outside a run directory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.card import model_card
from haystack_lrl.adaptation.merging import MergeResult
from haystack_lrl.adaptation.saving import save_model
from haystack_lrl.adaptation.training import TrainingResult
from haystack_lrl.curation.split import split_pairs
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.evaluation.systems import score
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.languages.table import language
from haystack_lrl.measure import bm25_system, dense_system, hybrid_system
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.pair import Triplet, read_triplets
from haystack_lrl.stages import DevSet, Trainer, prompts_of


def _trainer(
    pairs: Path, recipe: Recipe, checkpoints: Path, *, progress: bool
) -> tuple[Trainer, SentenceTransformer, list[Triplet]]:
    """Return trainer, base model and training rows of a file, a tenth of its passages set aside as dev pairs."""
    rows = list(read_triplets(pairs))
    split = split_pairs(
        (row.pair for row in rows), dev=min(recipe.evaluation.dev, len(rows) // 10), held_out=0, seed=recipe.seed
    )
    dev = DevSet.of(split, language(recipe.language))
    set_aside = {pair.group for pair in split.dev}
    base = load_model(recipe.base_model, revision=recipe.revision)
    trainer = Trainer(prompts_of(recipe, base), recipe.training, dev, recipe.seed, checkpoints, progress)
    return trainer, base, [row for row in rows if row.pair.group not in set_aside]


def train_file(pairs: Path, output: Path, recipe: Recipe, *, progress: bool = True) -> TrainingResult:
    """Train the recipe's base model on a file of pairs or triplets and save it.

    :raises InputError: for what is wrong with the file or the base model.
    """
    trainer, model, rows = _trainer(pairs, recipe, output.with_name(output.name + ".checkpoints"), progress=progress)
    result = trainer.train(model, rows, "train")
    save_model(model, output, trainer.prompts, _card(recipe, "before merging with the base"))
    trainer.forget("train")
    return result


def merge_files(pairs: Path, adapted: Path, output: Path, recipe: Recipe) -> MergeResult:
    """Merge the recipe's base model with an adapted one and save the result.

    :param pairs: the file that training read, whose dev split chooses among merge.weights.
    """
    trainer, base, _ = _trainer(pairs, recipe, output.with_name(output.name + ".checkpoints"), progress=False)
    result = trainer.merge(base, load_model(adapted), recipe.merge)
    save_model(base, output, trainer.prompts, _card(recipe, f"merged with the base at weight {result.chosen:g}"))
    return result


def evaluate_models(
    folder: Path,
    code: str,
    base_model: str,
    models: Sequence[str],
    *,
    hybrid_weight: float,
    split: bool,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure BM25, the base, the models, and the hybrid of BM25 and the last model, as metrics.json holds it."""
    test_set = load_test_set(folder, code)
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
    }


def _card(recipe: Recipe, what: str) -> str:
    import haystack_lrl

    return model_card(recipe.to_tree(), {"haystack_lrl": haystack_lrl.__version__, "stages": {}}, what, None)
