"""The translation stage: English pairs in, pairs in the language or reasons out."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from haystack_lrl.languages.copies import is_copy
from haystack_lrl.languages.gate import LanguageGate
from haystack_lrl.languages.table import Language
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.pair import Pair, Rejected, read_outcomes
from haystack_lrl.records.store import Store
from haystack_lrl.synthesis.making import Making, make_file, make_rows
from haystack_lrl.synthesis.translator import Texts, Translator, Unusable

logger = logging.getLogger(__name__)


def translation_settings(
    translator: Translator, language: Language, gate: LanguageGate | None = None
) -> dict[str, Any]:
    """Return what the store of a translation is opened with: everything that makes a row differ."""
    return {
        "stage": "translation",
        "language": language.code,
        "translator": dict(translator.identity),
        "gate": asdict(gate.settings) if gate else None,
    }


def translate(
    pairs: Iterable[Pair], translator: Translator, store: Store, gate: LanguageGate | None = None
) -> Iterator[Pair | Rejected]:
    """Yield the translation of each pair that the store does not hold yet; it is in the store by then.

    A pair that comes twice is translated once.

    :param pairs: English queries and passages.
    :param gate: what each translation must pass.
    :raises InputError: when the translator does not give one result a pair; rows made until then are kept.
    """
    return make_rows(pairs, translating(translator, gate), store)


def translate_file(
    pairs: Iterable[Pair],
    output: Path,
    translator: Translator,
    language: Language,
    *,
    gate: LanguageGate | None = None,
    total: int | None = None,
    progress: bool = True,
) -> Counts:
    """Translate every pair into one file, going on where a killed run stopped.

    :param total: how many pairs there are, for the progress bar.
    :raises InputError: when there are no pairs, or the translator fails; what is translated stays.
    """
    settings = translation_settings(translator, language, gate)
    making = translating(translator, gate)
    return make_file(pairs, making, output, settings, total=total, what="translate", progress=progress)


def translating(
    translator: Translator, gate: LanguageGate | None = None
) -> Making[Pair, Texts | Unusable, Pair | Rejected]:
    """Return how English pairs become rows of a store."""
    return Making(
        who=f"The translator {type(translator).__name__}",
        content=pair_content,
        make=lambda pairs: translator.translate((pair.query, pair.passage) for pair in pairs),
        row=lambda pair, result: _outcome(pair, result, gate),
    )


def pair_content(pair: Pair) -> tuple[str, ...]:
    """Return what of a pair makes its translation differ."""
    return pair.query, pair.passage


def _outcome(pair: Pair, result: Texts | Unusable, gate: LanguageGate | None) -> Pair | Rejected:
    source = replace(pair, query="", passage="", english_query=pair.query, english_passage=pair.passage)
    if isinstance(result, Unusable):
        return Rejected(source, result.reason, result.raw)
    query, passage = result
    translated = replace(source, query=query, passage=passage)
    checks = ((query, pair.query), (passage, pair.passage)) if gate else ()
    # a text that was empty to begin with is left to the filters, which know what training needs
    faults = (gate.check(text, source=english) for text, english in checks if gate and english.strip())
    fault = next((fault for fault in faults if fault), None)
    return Rejected(translated, fault) if fault else translated


def copied_share(outcomes: Iterable[Pair | Rejected]) -> float:
    """Return the share of translations whose query or passage is a copy of its source, from 0 to 1.

    Translations that the gate rejected count as well; pairs without letters on the English side do not.
    """
    total = copies = 0
    for outcome in outcomes:
        pair = outcome.pair if isinstance(outcome, Rejected) else outcome
        if not pair.query and not pair.passage:  # there was no translation
            continue
        total += any(map(str.isalpha, pair.english_query + pair.english_passage))
        copies += is_copy(pair.english_query, pair.query) or is_copy(pair.english_passage, pair.passage)
    return copies / total if total else 0.0


def check_copies(pairs: str | Path, most: float) -> float:
    """Return the share of translations that are copies of their source, and log it.

    :raises InputError: when it is above `most`: a translator that gave up half way looks like success otherwise.
    """
    share = copied_share(read_outcomes(pairs))
    logger.info("translations that are copies of their source: %.1f%%", 100 * share)
    if share > most:
        raise InputError(
            f"{pairs} holds {share:.0%} translations that are copies of their source, more than the {most:.0%} that "
            "max_copied allows: check that the translator knows the language, and delete the file to translate again."
        )
    return share
