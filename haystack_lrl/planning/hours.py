"""How long each stage takes, from the rates of one worker."""

from dataclasses import dataclass

from haystack_lrl.adaptation.settings import TrainingSettings
from haystack_lrl.curation.filtering import FilterSettings
from haystack_lrl.estimate import scored_tokens, trained_tokens
from haystack_lrl.planning.rates import Rates


@dataclass(frozen=True)
class StageTime:
    """The time of a stage.

    :param stage: its name.
    :param one: seconds with one worker; None where nothing was measured.
    :param many: seconds with all workers.
    :param note: how it follows from what was measured, or how to measure it.
    """

    stage: str
    one: float | None
    many: float | None
    note: str


def stage_times(rows: int, passages: int, workers: int, gpus: int, rates: Rates) -> list[StageTime]:
    """Return the time of the stages whose work grows with rows or passages.

    Everything beyond what was measured is extrapolated: in proportion to rows and tokens, and to one over the workers.

    :param workers: that translate, filter and embed at the same time.
    :param gpus: that train together.
    """
    a_row = None if rates.rows_per_minute is None else 60 / rates.rows_per_minute
    a_token = None if rates.tokens_per_second is None else 1 / rates.tokens_per_second
    embedded = None if rates.tokens_per_passage is None else passages * rates.tokens_per_passage
    training, scoring = TrainingSettings(), FilterSettings()
    return [
        _stage("translate", rows, a_row, workers, "a row's time, times the rows", "give --translator and --language"),
        _encoding(
            "filter", scored_tokens(rows, scoring), a_token, workers, f"4 texts of {scoring.max_length} tokens a row"
        ),
        _encoding("train", trained_tokens(rows, training, training.max_length), a_token, gpus, "as `adapt --estimate`"),
        _encoding("index", embedded, a_token, workers, "embedding; the cluster writes beside it"),
    ]


def _encoding(stage: str, tokens: float | None, a_token: float | None, workers: int, note: str) -> StageTime:
    return _stage(stage, tokens, a_token, workers, note, "give --model")


def _stage(stage: str, units: float | None, a_unit: float | None, workers: int, note: str, remedy: str) -> StageTime:
    if units is None or a_unit is None:
        return StageTime(stage, None, None, f"not measured: {remedy}")
    return StageTime(stage, units * a_unit, units * a_unit / workers, note)
