"""How long a run will take, from a moment's measurement on this machine."""

import time
from collections.abc import Sequence
from pathlib import Path

from haystack_lrl.adaptation.settings import TrainingSettings
from haystack_lrl.curation.filtering import FilterSettings
from haystack_lrl.encoding.encoder import SentenceEncoder, load_model
from haystack_lrl.evaluation.testset import load_test_set
from haystack_lrl.languages.table import language
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.pair import Pair, read_pairs
from haystack_lrl.synthesis.making import span
from haystack_lrl.synthesis.translator import load_translator

_SAMPLE = 32  # passages that are encoded to time the model
_ROWS = 8  # pairs that are translated to time the translator, whose start is counted with them
_STEP = 3.5  # a training step by its forward pass: forward, backward, optimiser


def estimate(recipe: Recipe) -> str:
    """Translate a few rows, encode a few texts, and return a table of stages and times.

    :raises InputError: when seeds, test sets or the base model cannot be read.
    """
    seconds = stage_seconds(recipe)
    rows = {**seconds, "total": sum(seconds.values())}
    head = "Estimated from a moment's measurement; other work on this machine makes it longer."
    return "\n".join([head, *(f"  {name:<10} {span(value):>9}" for name, value in rows.items())])


def stage_seconds(recipe: Recipe) -> dict[str, float]:
    """Return the expected seconds of each stage."""
    pairs = list(read_pairs(Path(recipe.seeds), recipe.query_column, recipe.passage_column))
    model = load_model(recipe.base_model, revision=recipe.revision)
    encoder = SentenceEncoder(model)
    a_token = seconds_a_token(encoder, [pair.passage for pair in pairs[:_SAMPLE]])
    trained = tokens_a_pair(recipe.training, encoder.max_length)
    a_training = trained_tokens(len(pairs), recipe.training, encoder.max_length) * a_token
    sizes = [min(1.0, size / len(pairs)) for size in recipe.evaluation.curve]
    dev = min(recipe.evaluation.dev, len(pairs) // 10) * trained * a_token
    points = 1 + len(recipe.merge.weights)
    models = 3 + int(recipe.control)
    return {
        "translate": seconds_a_pair(recipe.translator, recipe.language, pairs, recipe.translator_timeout) * len(pairs),
        "filter": scored_tokens(len(pairs), recipe.filter) * a_token,
        "train": a_training + recipe.training.evaluations * dev,
        "merge": 2 * points * dev,
        **({"control": a_training + recipe.training.evaluations * dev} if recipe.control else {}),
        **({"curve": sum(sizes) * a_training + len(sizes) * _tokens(recipe, encoder) * a_token} if sizes else {}),
        "evaluate": models * _tokens(recipe, encoder) * a_token,
    }


def scored_tokens(rows: int, settings: FilterSettings) -> int:
    """Return the tokens that filtering encodes: both texts of a pair, in both languages."""
    return 4 * rows * settings.max_length if settings.thresholds != "none" else 0


def tokens_a_pair(settings: TrainingSettings, longest: int) -> float:
    """Return the tokens of a pair in training, given those that the model reads of a text."""
    # a translation into a language that the tokenizer does not know has more tokens: up to the cut, all of them
    return 1.25 * settings.max_length if settings.path == "fast" else longest


def trained_tokens(rows: int, settings: TrainingSettings, longest: int) -> float:
    """Return how many tokens could be encoded in the time that training takes."""
    return rows * tokens_a_pair(settings, longest) * settings.epochs * _STEP


def seconds_a_token(encoder: SentenceEncoder, passages: Sequence[str]) -> float:
    """Encode some passages and return the seconds for one token."""
    encoder.encode(passages[:4], "passage")  # the first pass also sets the library up
    start = time.monotonic()
    encoder.encode(passages, "passage")
    tokens = sum(min(count, encoder.max_length) for count in encoder.token_counts(passages))
    return (time.monotonic() - start) / max(1, tokens)


def seconds_a_pair(spec: str, code: str, pairs: Sequence[Pair], timeout: float = 600.0) -> float:
    """Translate a few pairs and return the seconds for one.

    :param spec: of the translator, as `load_translator` takes it.
    :param code: ISO 639-3 code of the language to translate into.
    :param timeout: seconds without an answer after which the translator counts as hung.
    :raises InputError: when it cannot be loaded or fails.
    """
    translator = load_translator(spec, language(code), timeout=timeout)
    sample = pairs[:_ROWS]
    start = time.monotonic()
    for _ in translator.translate((pair.query, pair.passage) for pair in sample):
        pass
    return (time.monotonic() - start) / max(1, len(sample))


def _tokens(recipe: Recipe, encoder: SentenceEncoder) -> int:
    """Return the tokens of all test sets, which every model encodes."""
    folders = [*recipe.evaluation.test_sets, *recipe.evaluation.retention.values()]
    texts = [text for folder in folders for text in load_test_set(Path(folder), recipe.language).documents.values()]
    return sum(encoder.token_counts(texts)) if texts else 0
