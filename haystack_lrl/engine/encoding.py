"""An encoder whose texts are shared out among workers: what filters and miners take for any other."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from haystack_lrl.curation.teachers import Teacher, load_teacher
from haystack_lrl.encoding.encoder import Encoder, Role, SentenceEncoder, Vectors, load_model
from haystack_lrl.engine.cluster import Share, joined
from haystack_lrl.engine.flow import RETRIES
from haystack_lrl.engine.settings import Engine
from haystack_lrl.languages.table import Language
from haystack_lrl.records.errors import InputError, MissingExtraError

_TEXTS = 64  # sent at a time: two batches of a model, and many times as many in a chunk of what is filtered or mined


@dataclass(frozen=True)
class EncoderSettings:
    """A SentenceEncoder as settings alone.

    :param model: folder or hub id.
    :param prompts: before queries and passages; the model's own by default.
    :param max_length: tokens after which a text is cut; the model's own by default.
    """

    model: str
    revision: str | None = None
    prompts: Mapping[Role, str] | None = None
    max_length: int | None = None

    def build(self, *, progress: bool = False) -> SentenceEncoder:
        """Load the model.

        :raises InputError: when there is no such model.
        """
        model = load_model(self.model, revision=self.revision)
        return SentenceEncoder(model, prompts=self.prompts, max_length=self.max_length, progress=progress)


@contextmanager
def encoder_on(settings: EncoderSettings, engine: Engine | None = None, *, progress: bool = False) -> Iterator[Encoder]:
    """Give an encoder of this process, or one whose texts workers encode.

    :raises InputError: when there is no such model, here or on the workers.
    :raises MissingExtraError: when a package is missing.
    """
    if engine is None:
        yield settings.build(progress=progress)
        return
    with joined(engine) as share:
        encoder = RayEncoder(settings, share)
        try:
            yield encoder
        finally:
            encoder.close()


@contextmanager
def teacher_on(
    name: str, language: Language, engine: Engine | None = None, *, progress: bool = False
) -> Iterator[Teacher]:
    """Give what chooses hard negatives: `bm25`, which stays in this process, or a model's encoder.

    :raises InputError: when there is no such model, and for `base`, which only a recipe can resolve.
    """
    if engine is None or name in {"bm25", "base"}:
        yield load_teacher(name, language, progress=progress)
        return
    with encoder_on(EncoderSettings(name), engine) as encoder:
        yield encoder


class RayEncoder:
    """Encodes texts on workers that each hold the model; a worker that dies is started anew."""

    def __init__(self, settings: EncoderSettings, share: Share) -> None:
        import ray
        from ray.util import ActorPool

        kind: Any = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=-1, max_task_retries=RETRIES)(
            _EncodingWorker
        )
        here = os.getcwd()  # noqa: PTH109 - as text
        self._workers: list[Any] = [kind.remote(settings, here) for _ in range(share.workers)]
        self._pool: Any = ActorPool(self._workers)

    def encode(self, texts: Sequence[str], role: Role) -> Vectors:
        """Return one unit vector a text, shape (texts, dimensions), float32, in the order of the texts.

        :raises InputError: when a worker cannot load the model.
        """
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))  # texts of a length need no padding
        places = [order[start : start + _TEXTS] for start in range(0, len(order), _TEXTS)] or [[]]
        slices = ([texts[place] for place in some] for some in places)
        parts: list[Vectors] = []
        for vectors, error in self._pool.map(lambda worker, some: worker.encode.remote(some, role), slices):
            if error:
                raise InputError(error)
            parts.append(vectors)
        encoded = np.concatenate(parts)
        encoded[order] = encoded.copy()
        return encoded

    def close(self) -> None:
        """End the workers: what follows needs their processors."""
        import ray

        for worker in self._workers:
            ray.kill(worker)


class _EncodingWorker:
    """Holds one encoder; what the user can mend comes back as a sentence."""

    def __init__(self, settings: EncoderSettings, folder: str) -> None:
        self.settings = settings
        self.folder = folder
        self._encoder: SentenceEncoder | None = None

    def encode(self, texts: Sequence[str], role: Role) -> tuple[Vectors, str]:
        try:
            return self._loaded().encode(texts, role), ""
        except (InputError, MissingExtraError) as error:
            return np.zeros((0, 0), dtype=np.float32), str(error)

    def _loaded(self) -> SentenceEncoder:
        if self._encoder is None:
            if os.path.isdir(self.folder):  # noqa: PTH112 - beside os.chdir
                os.chdir(self.folder)
            self._encoder = self.settings.build()
        return self._encoder
