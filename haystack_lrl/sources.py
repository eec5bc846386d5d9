"""What a recipe's sources make of the base model, and who scores and mines for it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from haystack_lrl.adaptation.vocabulary.growing import grow_vocabulary, shatters
from haystack_lrl.adaptation.vocabulary.trimming import trim_vocabulary
from haystack_lrl.curation.split import Split
from haystack_lrl.curation.teachers import Teacher
from haystack_lrl.encoding.encoder import Encoder, Role
from haystack_lrl.engine.counting import count_words
from haystack_lrl.engine.encoding import EncoderSettings, encoder_on, teacher_on
from haystack_lrl.engine.settings import Engine
from haystack_lrl.languages.table import language
from haystack_lrl.recipe import Recipe
from haystack_lrl.records.corpus import read_texts, sample_english
from haystack_lrl.records.lexicon import read_sources

logger = logging.getLogger(__name__)


def with_vocabulary(
    base: SentenceTransformer, recipe: Recipe, split: Split, engine: Engine | None = None
) -> tuple[SentenceTransformer, dict[str, Any]]:
    """Return the model that training starts from, and what was done to it for the manifest."""
    facts: dict[str, Any] = {"vocabulary": None}
    if recipe.vocabulary == "lexicon" or (recipe.vocabulary == "auto" and shatters(base, split.train)):
        files = (Path(name) if name else None for name in (recipe.parallel, recipe.dictionary, recipe.documents))
        sources = read_sources(recipe.language, None, *files)
        pairs = (*split.train, *sources.pairs)
        counts = partial(count_words, source=recipe.documents, engine=engine) if recipe.documents and engine else None
        base, growth = grow_vocabulary(
            base, pairs, dictionary=sources.dictionary, documents=sources.documents, counts=counts
        )
        logger.info("vocabulary: %d words, pieces a word %.2f -> %.2f", growth.words, *growth.pieces_a_word)
        facts = {"vocabulary": growth.to_json()}
    if recipe.trim:
        own, english = _own_texts(recipe, split), _english_texts(split)
        base, trimmed = trim_vocabulary(base, language(recipe.language), own, english)
        logger.info("vocabulary: %d pieces -> %d", *trimmed.pieces)
        facts |= {"trimmed": trimmed.to_json()}
    return base, facts


def scorer_of(
    recipe: Recipe, prompts: Mapping[Role, str], engine: Engine | None
) -> AbstractContextManager[Encoder | None]:
    """Return what scores drift, which looks at the beginnings of texts: the base model, or the recipe's own.

    :param prompts: of the base model.
    """
    settings = recipe.filter
    if settings.thresholds == "none":
        return nullcontext()
    if settings.scorer:
        return encoder_on(EncoderSettings(settings.scorer, max_length=settings.max_length), engine)
    return encoder_on(EncoderSettings(recipe.base_model, recipe.revision, prompts, settings.max_length), engine)


def teacher_of(
    recipe: Recipe, prompts: Mapping[Role, str], engine: Engine | None, *, progress: bool
) -> AbstractContextManager[Teacher]:
    """Return what chooses hard negatives.

    :param prompts: of the base model.
    """
    if recipe.mining.teacher != "base":
        return teacher_on(recipe.mining.teacher, language(recipe.language), engine, progress=progress)
    return encoder_on(EncoderSettings(recipe.base_model, recipe.revision, prompts), engine, progress=progress)


def _own_texts(recipe: Recipe, split: Split) -> Iterator[str]:
    for pair in split.train:
        yield from (pair.query, pair.passage)
    if recipe.documents:
        yield from read_texts(Path(recipe.documents))


def _english_texts(split: Split) -> Iterator[str]:
    for pair in split.train:
        yield from (text for text in (pair.english_query, pair.english_passage) if text)
    yield from sample_english()
