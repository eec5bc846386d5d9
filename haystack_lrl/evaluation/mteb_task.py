"""Tasks of MTEB (Muennighoff et al., EACL 2023; mteb 2), run through this package's encoder."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from haystack_lrl.encoding.encoder import Role, SentenceEncoder
from haystack_lrl.records.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import torch
    from mteb.abstasks import AbsTask

_ROLES: Mapping[str, Role] = {"query": "query", "document": "passage"}
_Vectors = npt.NDArray[np.floating]


@dataclass(frozen=True)
class MtebScore:
    """A task's main score on one split and subset, as mteb computes it: without an interval, which mteb has none of.

    :param metric: mteb's name of the main score, such as ndcg_at_10.
    :param subset: such as a language of a multilingual task; `default` where there is one alone.
    """

    task: str
    metric: str
    split: str
    subset: str
    score: float


class MtebEncoder:
    """What mteb asks of an encoder (its EncoderProtocol), answered by ours.

    Queries and documents are encoded as they will be served: unit vectors, with the model's prompts. Texts without a
    role are encoded as sentence-transformers does, since classifiers see the length of vectors. So the numbers are
    mteb's own for a SentenceTransformer in fp32 that compares by cosine.

    :param name: what mteb's results call the model.
    """

    def __init__(self, encoder: SentenceEncoder, name: str) -> None:
        from mteb.models import ModelMeta

        self._encoder = encoder
        self.mteb_model_meta = ModelMeta.create_empty({"name": name})

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,  # noqa: ANN401 - mteb's
        prompt_type: Any = None,  # noqa: ANN401 - mteb's
        **_: Any,  # noqa: ANN401 - split, subset and batch size, which the encoder does not need
    ) -> _Vectors:
        """Return one vector a text, shape (texts, dimensions)."""
        from mteb.models.abs_encoder import get_prompt_name

        texts = [text for batch in inputs for text in batch["text"]]
        model = self._encoder.model
        prompts: dict[str, str] = {name: prompt or "" for name, prompt in model.prompts.items()}
        name = get_prompt_name(prompts, task_metadata, prompt_type)  # such as a prompt for this task alone
        if prompt_type is not None and name in {None, *_ROLES}:
            return self._encoder.encode(texts, _ROLES[prompt_type.value])
        vectors: _Vectors = model.encode(
            texts,
            prompt=prompts[name] if name else None,
            batch_size=self._encoder.batch_size,
            show_progress_bar=False,
        )
        return vectors

    def similarity(self, first: _Vectors, second: _Vectors) -> "torch.Tensor":
        """Return the model's similarity of every vector with every other, shape (first, second)."""
        return self._encoder.model.similarity(first, second)

    def similarity_pairwise(self, first: _Vectors, second: _Vectors) -> "torch.Tensor":
        """Return the model's similarity of vectors in the same position, shape (vectors,)."""
        return self._encoder.model.similarity_pairwise(first, second)


def find_task(name: str, code: str) -> "AbsTask":
    """Return a task of mteb in one language, its data loaded.

    :param code: ISO 639-3; subsets in other languages are left out.
    :raises MissingExtraError: when mteb is not installed.
    :raises InputError: for a task that mteb does not know or that has not this language, and for data that cannot be
        loaded.
    """
    try:
        import mteb
    except ImportError as error:
        raise MissingExtraError('Tasks of MTEB need mteb: pip install "haystack-lrl[mteb]".') from error
    try:
        task = mteb.get_task(name, languages=[code])
    except KeyError as error:
        raise InputError(f"mteb has no task {name!r} ({error.args[0]}): give one of its names.") from error
    except ValueError as error:  # no subset is left
        raise InputError(f"The task {name} of mteb has no texts in {code}: give another task or language.") from error
    try:
        task.load_data()
    except (OSError, ValueError) as error:
        cause = str(error).strip().splitlines()[0]
        raise InputError(
            f"The data of {name} could not be loaded ({cause}): load it once where the hub can be reached."
        ) from error
    return task


def run_task(task: "AbsTask", encoder: SentenceEncoder, model: str) -> list[MtebScore]:
    """Return the main score of a task on each of its splits and subsets.

    :param encoder: in fp32, where the number must be mteb's own: `SentenceEncoder.from_path(..., precision="fp32")`.
    :param model: its name.
    """
    import mteb

    (result,) = mteb.evaluate(
        MtebEncoder(encoder, model),  # type: ignore[arg-type]  # the protocol's constructor is for mteb's own command
        task,
        cache=None,
        co2_tracker=False,
        show_progress_bar=encoder.progress,
    ).task_results
    return [
        MtebScore(task.metadata.name, task.metadata.main_score, split, row["hf_subset"], float(row["main_score"]))
        for split, rows in result.scores.items()
        for row in rows
    ]


def measure_tasks(
    tasks: Sequence[str], code: str, models: Sequence[str], *, progress: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield a row of benchmarks.json for each model, task, split and subset, without an interval.

    :param tasks: mteb's names of them.
    :param models: folders or hub ids.
    :raises InputError: as `find_task`, before any model is loaded.
    """
    found = [find_task(name, code) for name in tasks]
    for model in models:
        encoder = SentenceEncoder.from_path(model, precision="fp32", progress=progress)
        for task in found:
            for score in run_task(task, encoder, model):
                yield {
                    "benchmark": f"mteb:{score.task}",
                    "language": code,
                    "model": model,
                    "metric": score.metric,
                    "split": score.split,
                    "subset": score.subset,
                    "mean": score.score,
                    "low": None,
                    "high": None,
                }
