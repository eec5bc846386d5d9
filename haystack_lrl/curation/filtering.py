"""Filter translated pairs: the text rules, then the drift rules of Less is More (arXiv 2603.22290).

The paper's thresholds (0.05, 0.85, 0.85) live on multilingual-E5's scale, where cosines sit in 0.7-1.0. By default the
thresholds here are percentiles of the run's own scores, which any scorer can meet.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from more_itertools import chunked
from tqdm import tqdm

from haystack_lrl.encoding.encoder import Encoder
from haystack_lrl.languages.copies import is_copy
from haystack_lrl.languages.repetition import compression
from haystack_lrl.languages.scripts import script_share
from haystack_lrl.languages.table import Language
from haystack_lrl.languages.table import language as language_of
from haystack_lrl.records.counts import Counts
from haystack_lrl.records.jsonl import dump_line, writing
from haystack_lrl.records.keys import Keys
from haystack_lrl.records.pair import Pair, Rejected, read_outcomes
from haystack_lrl.records.text import text_hash

Scores = npt.NDArray[np.float32]

_CHUNK = 1024  # pairs scored at a time: memory stays flat however long the file


@dataclass(frozen=True)
class FilterSettings:
    """What a translated pair must pass.

    :param thresholds: how the three drift settings are read: as a percentile of this run's scores, as absolute
        cosines (the paper's way), or `none` for text rules alone.
    :param semantic_drift: highest accepted abs(sim(english query, english passage) - sim(query, passage)).
    :param query_drift: lowest accepted sim(english query, query).
    :param passage_drift: lowest accepted sim(english passage, passage).
    :param scorer: model that scores; the base model by default.
    :param max_length: tokens of each text that are scored: drift shows early in a text, and scoring is most of the
        filter's time.
    :param length_ratio: highest accepted factor between a pair's translation/source length and this run's median.
    :param script_share: lowest accepted share of letters in the language's script.
    :param compression: lowest accepted size after/before zlib: below it, a text repeats itself.
    """

    thresholds: Literal["percentile", "absolute", "none"] = "percentile"
    semantic_drift: float = 95.0
    query_drift: float = 5.0
    passage_drift: float = 5.0
    scorer: str | None = None
    max_length: int = 64
    length_ratio: float = 3.0
    script_share: float = 0.5
    compression: float = 0.25

    def __post_init__(self) -> None:
        if self.length_ratio < 1:
            raise ValueError(f"filter.length_ratio is {self.length_ratio}, but must be 1 or above")
        top = 100.0 if self.thresholds == "percentile" else 1.0
        for name in ("semantic_drift", "query_drift", "passage_drift"):
            if self.thresholds != "none" and not 0 <= getattr(self, name) <= top:
                raise ValueError(f"filter.{name} is {getattr(self, name)}, but {self.thresholds} means 0 to {top:g}")


def filter_file(
    source: str | Path,
    kept: Path,
    rejected: Path,
    language: Language,
    settings: FilterSettings,
    scorer: Encoder | None,
    *,
    progress: bool = False,
) -> Counts:
    """Split a file of translated pairs into a file of kept and one of rejected pairs with their reasons.

    The file is read three times and never held: for the median length, through the text rules, and for the verdicts.

    :param scorer: encodes both sides for the drift rules; None leaves them out, as `thresholds="none"` does.
    :raises InputError: with path and line for what is not a pair.
    """
    translated = (o for o in read_outcomes(source) if isinstance(o, Pair) and o.english_passage and o.passage)
    ratios = np.fromiter(map(_length_ratio, translated), dtype=np.float64)
    rules = text_rules(language, settings, float(np.median(ratios)) if len(ratios) else 1.0)
    drift_rules = settings.thresholds != "none" and scorer is not None and len(ratios) > 0
    limits = None
    scores = np.zeros((0, 3), dtype=np.float32)
    if drift_rules and scorer is not None:
        passed = (o for o in screen(read_outcomes(source), rules()) if isinstance(o, Pair))
        bar = tqdm(passed, total=len(ratios), desc="filter", unit="pair", disable=not progress)
        scores = np.concatenate([scores, *drift_scores(bar, scorer)])
        limits = drift_limits(scores, settings)
    counts = Counts()
    verdicts = screen(read_outcomes(source), rules())
    with writing(kept) as kept_file, writing(rejected) as rejected_file:
        for outcome in verdicts if limits is None else judge(verdicts, scores, limits):
            if isinstance(outcome, Pair):
                counts.keep()
                kept_file.write(dump_line(outcome.to_json()))
            else:
                counts.reject(outcome.reason)
                rejected_file.write(dump_line(outcome.to_json()))
    return counts


Rules = Sequence[tuple[str, Callable[[Pair], bool]]]


def text_rules(language: Language, settings: FilterSettings, median_ratio: float) -> Callable[[], Rules]:
    """Return a maker of (reason, is it so?) rules in the order in which they are asked.

    A maker, because the duplicate rule remembers what it saw: each pass over the file needs its own.
    """
    other_script = not set(language.scripts) & set(language_of("eng").scripts)

    def rules() -> Rules:
        seen = Keys()

        def is_repeated(pair: Pair) -> bool:
            return not seen.add(text_hash(pair.query, pair.passage))

        return (
            ("empty", lambda pair: not (pair.query.strip() and pair.passage.strip())),
            ("duplicate", is_repeated),
            ("copied source", lambda pair: is_copy(pair.english_passage, pair.passage)),
            ("length ratio", lambda pair: _off_ratio(pair, median_ratio, settings.length_ratio)),
            ("repetition", lambda pair: compression(pair.passage) < settings.compression),
            ("script", lambda pair: other_script and script_share(pair.passage, language) < settings.script_share),
        )

    return rules


def screen(outcomes: Iterable[Pair | Rejected], rules: Rules) -> Iterator[Pair | Rejected]:
    """Yield every row, rejected with the first rule that applies; what comes in rejected stays so."""
    for outcome in outcomes:
        if isinstance(outcome, Rejected):
            yield outcome
        else:
            reason = next((reason for reason, applies in rules if applies(outcome)), None)
            yield Rejected(outcome, reason) if reason else outcome


def drift_scores(pairs: Iterable[Pair], scorer: Encoder) -> Iterator[Scores]:
    """Yield scores in chunks of shape (pairs, 3): semantic drift, query similarity, passage similarity.

    A pair without its English side cannot drift from it: 0, 1, 1.
    """
    for chunk in chunked(pairs, _CHUNK):
        queries, passages = (scorer.encode([getattr(p, role) for p in chunk], role) for role in ("query", "passage"))
        english = [pair.in_english() if pair.english_passage else pair for pair in chunk]
        english_queries = scorer.encode([pair.query for pair in english], "query")
        english_passages = scorer.encode([pair.passage for pair in english], "passage")
        scores = np.stack(
            [
                np.abs((english_queries * english_passages).sum(1) - (queries * passages).sum(1)),
                (english_queries * queries).sum(1),
                (english_passages * passages).sum(1),
            ],
            axis=1,
        )
        scores[[not pair.english_passage for pair in chunk]] = (0, 1, 1)
        yield scores


def drift_limits(scores: Scores, settings: FilterSettings) -> tuple[float, float, float]:
    """Return the highest semantic drift and the lowest query and passage similarity that are accepted."""
    limits = (settings.semantic_drift, settings.query_drift, settings.passage_drift)
    if settings.thresholds == "absolute" or not len(scores):
        return limits
    highest, query, passage = (float(np.percentile(scores[:, i], limit)) for i, limit in enumerate(limits))
    return highest, query, passage


def judge(
    outcomes: Iterable[Pair | Rejected], scores: Scores, limits: tuple[float, float, float]
) -> Iterator[Pair | Rejected]:
    """Reject pairs whose scores are beyond the limits; scores are those of the pairs, in order."""
    rows = iter(scores)
    for outcome in outcomes:
        if isinstance(outcome, Rejected):
            yield outcome
            continue
        semantic, query, passage = next(rows)
        if semantic > limits[0]:
            yield Rejected(outcome, "semantic drift")
        elif query < limits[1] or passage < limits[2]:
            yield Rejected(outcome, "translation drift")
        else:
            yield outcome


def _length_ratio(pair: Pair) -> float:
    return len(pair.passage) / max(1, len(pair.english_passage))


def _off_ratio(pair: Pair, median: float, factor: float) -> bool:
    if not pair.english_passage:
        return False
    ratio = _length_ratio(pair) / median
    return not 1 / factor <= ratio <= factor
