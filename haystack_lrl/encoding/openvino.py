"""OpenVINO: graphs on x86 and ARM processors, in fp32, bf16 and 8 bits."""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.encoding.exported import OUTPUT, Inputs
from haystack_lrl.encoding.hardware import Precision, has_fast_bf16, use_bf16
from haystack_lrl.records.errors import InputError, MissingExtraError

logger = logging.getLogger(__name__)


class OpenVINOGraph:
    """A graph compiled for this processor, which computes one batch a core.

    Cores that work on batches of their own do not wait for each other, as those that share a batch do.

    :param path: the `.xml` file; the `.bin` file lies beside it.
    :param precision: of what is not in 8 bits; `auto` for bf16 where the processor has it.
    :param threads: cores to use; those of this process by default.
    :raises InputError: when the files are damaged.
    :raises MissingExtraError: when OpenVINO is not installed.
    """

    alone = False
    step = 16  # a graph of another shape is prepared anew, which costs a query more than the padding

    def __init__(self, path: Path, *, precision: Precision = "auto", threads: int | None = None) -> None:
        openvino = import_openvino()
        cores = threads or torch.get_num_threads()  # OMP_NUM_THREADS, or the cores that this process may use
        bf16 = use_bf16(precision, "cpu")
        if bf16 and not has_fast_bf16("cpu"):
            logger.warning("This processor has no bfloat16: the export runs, but fp32 would be faster.")
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": cores,
            "NUM_STREAMS": cores,
            "ENABLE_CPU_PINNING": False,  # several processes would pin themselves to the same first cores
        }
        core = openvino.Core()
        try:
            model = core.read_model(path)
            # beside 8-bit weights, activations get one scale a token; one for 32 numbers is a quarter slower
            settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = model.output(0).get_partial_shape()[2].get_length()
            compiled = core.compile_model(_only_vectors(model), "CPU", settings)
        except RuntimeError as error:  # OpenVINO raises nothing finer
            raise InputError(f"OpenVINO cannot load {path}, which is damaged: export the model again.") from error
        self.bf16 = bf16
        self.names = frozenset(put.get_any_name() for put in compiled.inputs)
        self._alone: Any = compiled.create_infer_request()
        self._queue: Any = openvino.AsyncInferQueue(compiled, cores)
        self._queue.set_callback(_keep)

    def run(self, batches: Iterable[Inputs]) -> list[Vectors]:
        """Return the vectors of each batch, in order, not normalised; every input is of shape (texts, tokens)."""
        several = iter(batches)
        first = list(islice(several, 2))
        if len(first) < 2:  # a query need not wait for another thread
            return [self._alone.infer(batch, share_inputs=True)[0] for batch in first]
        vectors: dict[int, Vectors] = {}
        for number, batch in enumerate(chain(first, several)):
            self._queue.start_async(batch, (vectors, number), share_inputs=False)
        self._queue.wait_all()
        return [vectors[number] for number in range(len(vectors))]


def _keep(request: Any, place: tuple[dict[int, Vectors], int]) -> None:  # noqa: ANN401  OpenVINO's InferRequest
    vectors, number = place
    vectors[number] = request.get_output_tensor(0).data.copy()  # the next batch overwrites the request's own memory


def _only_vectors(model: Any) -> Any:  # noqa: ANN401  OpenVINO's Model
    """Leave out the tokens' own vectors, which only sentence-transformers asks for."""
    openvino = import_openvino()
    return openvino.Model([model.output(OUTPUT).get_node().input_value(0)], model.get_parameters())


def import_openvino() -> Any:  # noqa: ANN401  the module
    """Return the package.

    :raises MissingExtraError: when it is not installed.
    """
    try:
        with without_telemetry():
            import openvino
    except ImportError as error:
        raise MissingExtraError('Exports for OpenVINO need pip install "haystack-lrl[openvino]"') from error
    return openvino


@contextlib.contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep OpenVINO and NNCF from reporting imports and conversions to their makers, which they do unless in CI.

    Their own way out is a file in the user's home, which is not ours to write.
    """
    names = ("CI", "NNCF_CI")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "true"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
