"""Export a model, and refuse what the export costs the language."""

import logging
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from haystack_lrl.adaptation.export.folder import write_export
from haystack_lrl.curation.split import split_pairs
from haystack_lrl.encoding.encoder import Role, SentenceEncoder, load_model
from haystack_lrl.encoding.exported import ExportedEncoder, Format, Manifest, load_exported
from haystack_lrl.encoding.sources import locate
from haystack_lrl.evaluation.metrics import PRIMARY, measure
from haystack_lrl.evaluation.runs import dense_run
from haystack_lrl.evaluation.statistics import or_none, paired
from haystack_lrl.evaluation.testset import TestSet, load_test_set
from haystack_lrl.languages.table import language
from haystack_lrl.records.errors import InputError
from haystack_lrl.records.folders import writing_folder
from haystack_lrl.records.pair import read_pairs
from haystack_lrl.stages import DevSet

logger = logging.getLogger(__name__)

MOST_LOST = 0.01
"""nDCG@10 that an export may cost on the dev set; and no paired test may call it worse."""

_SIGNIFICANT = 0.05
_DEV = 300  # pairs, as the recipe's evaluation.dev: files are split as training split them
_CALIBRATION = 200  # texts; a choice between a minute of work and NNCF's own default of 300
_COMPARED = 64  # texts whose vectors are compared one by one


@dataclass(frozen=True)
class Gate:
    """What an export costs in the language.

    :param test_set: its name.
    :param queries: over which the means are taken.
    :param before: mean nDCG@10 of the model in torch, fp32.
    :param after: mean nDCG@10 of the export.
    :param difference: after minus before, with `low` and `high`, its 95% interval, and `p` of the paired test.
    :param least_cosine: the lowest between the vectors of model and export, over the first documents.
    """

    test_set: str
    queries: int
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    p: float
    least_cosine: float
    passed: bool

    @property
    def sentence(self) -> str:
        """The result in words."""
        interval = (
            "" if self.low is None or self.high is None else f", 95% interval {self.low:+.4f} to {self.high:+.4f}"
        )
        return (
            f"nDCG@10 {self.before:.4f} -> {self.after:.4f} ({self.difference:+.4f}{interval}, p {self.p:.3g}, "
            f"{self.queries} queries of {self.test_set}, least cosine {self.least_cosine:.5f})"
        )


@dataclass(frozen=True)
class Evidence:
    """The user's own texts.

    :param dev: what the gate measures on.
    :param queries: for the ranges of 8-bit activations.
    :param passages: the same.
    """

    dev: TestSet
    queries: list[str]
    passages: list[str]

    @classmethod
    def of(cls, code: str, pairs: Path | None, test_set: Path | None) -> "Evidence":
        """Take the dev set from the test set, else from a tenth of the pairs; calibrate on the other pairs.

        Without pairs, texts of the test set calibrate; its judgements play no part in that.

        :raises InputError: when there is neither, or what there is cannot be used.
        """
        spoken = language(code)
        dev = load_test_set(test_set, spoken.code) if test_set else None
        if pairs:
            rows = list(read_pairs(pairs))
            split = split_pairs(rows, dev=min(_DEV, len(rows) // 10), held_out=0, seed=13)
            train = split.train[:_CALIBRATION]
            own = dev or DevSet.of(split, spoken).own
            return cls(own, [pair.query for pair in train], [pair.passage for pair in train])
        if dev is None:
            raise InputError("There is nothing to measure the export on: give --pairs or --test-set.")
        return cls(dev, list(dev.queries.values()), list(dev.documents.values()))

    def calibration(self, prompts: dict[Role, str]) -> list[str]:
        """Return passages and, a quarter, queries, with their prompts."""
        quarter = _CALIBRATION // 4
        queries = [prompts["query"] + text for text in self.queries[:quarter]]
        return queries + [prompts["passage"] + text for text in self.passages[: _CALIBRATION - quarter]]


def export_file(
    model: str,
    output: Path,
    kind: Format,
    evidence: Evidence,
    *,
    keep_anyway: bool = False,
) -> Manifest:
    """Export a model to a folder, if it passes the gate.

    :param model: folder or hub id.
    :param keep_anyway: warn where the gate refuses.
    :returns: the manifest, with the gate's result.
    :raises InputError: when the model cannot be exported, or the gate refuses: nothing is written then.
    :raises MissingExtraError: when a package of the format is not installed.
    """
    source = load_model(model, device="cpu")
    encoder = SentenceEncoder(source, precision="fp32")
    identity = locate(model).identity
    with writing_folder(output) as partial:
        manifest = write_export(source, partial, kind, identity, evidence.calibration(encoder.prompts))
        gate = compare(encoder, load_exported(partial), evidence.dev)
        manifest = replace(manifest, gate=asdict(gate))
        manifest.write(partial)
        if not gate.passed:
            _refused(kind, gate, partial, keep_anyway=keep_anyway)
    return manifest


def compare(before: SentenceEncoder, after: ExportedEncoder, dev: TestSet) -> Gate:
    """Measure an export against its model, documents cut as the model cuts them."""
    old, new = _ndcg(before, dev), _ndcg(after, dev)
    difference = paired(new, old)
    worse = difference.mean < 0 and difference.p <= _SIGNIFICANT
    return Gate(
        test_set=dev.name,
        queries=len(dev.queries),
        before=float(old.mean()),
        after=float(new.mean()),
        difference=difference.mean,
        low=or_none(difference.low),
        high=or_none(difference.high),
        p=difference.p,
        least_cosine=_least_cosine(before, after, list(dev.documents.values())[:_COMPARED]),
        passed=difference.mean >= -MOST_LOST and not worse,
    )


def _ndcg(encoder: SentenceEncoder | ExportedEncoder, dev: TestSet) -> npt.NDArray[np.float64]:
    ranked = dense_run(dev, cast(Any, encoder), split=False)
    return measure(dev, ranked.run)[PRIMARY]


def _least_cosine(before: SentenceEncoder, after: ExportedEncoder, texts: list[str]) -> float:
    return float((before.encode(texts, "passage") * after.encode(texts, "passage")).sum(axis=1).min())


def _refused(kind: Format, gate: Gate, partial: Path, *, keep_anyway: bool) -> None:
    if keep_anyway:
        logger.warning("%s loses too much in this language and is kept all the same: %s", kind, gate.sentence)
        return
    shutil.rmtree(partial)
    raise InputError(
        f"{kind} loses too much in this language, {gate.sentence}, and was not written: export in bf16 or fp32, or "
        "keep it with --keep-anyway."
    )
