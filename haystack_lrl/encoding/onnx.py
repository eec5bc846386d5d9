"""ONNX Runtime: graphs wherever it runs, in fp32 and 8 bits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from haystack_lrl.encoding.encoder import Vectors
from haystack_lrl.encoding.exported import OUTPUT, Inputs
from haystack_lrl.records.errors import InputError, MissingExtraError


class ONNXGraph:
    """A graph in ONNX Runtime, on the CPU.

    :param path: the `.onnx` file.
    :param alone: True for 8 bits, whose scale is that of the whole batch: a text's vector would depend on the others.
    :param threads: cores to use; those of this process by default.
    :raises InputError: when the file is damaged.
    :raises MissingExtraError: when ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, *, alone: bool = False, threads: int | None = None) -> None:
        runtime = import_onnxruntime()
        faults = runtime.capi.onnxruntime_pybind11_state
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        try:
            self._session: Any = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (faults.Fail, faults.InvalidProtobuf, faults.InvalidGraph, faults.RuntimeException) as error:
            raise InputError(f"ONNX Runtime cannot load {path}, which is damaged: export the model again.") from error
        self.alone = alone
        self.step = 1
        self.names = frozenset(put.name for put in self._session.get_inputs())

    def run(self, batches: Iterable[Inputs]) -> list[Vectors]:
        """Return the vectors of each batch, in order, not normalised; every input is of shape (texts, tokens)."""
        return [self._session.run([OUTPUT], batch)[0] for batch in batches]


def import_onnxruntime() -> Any:  # noqa: ANN401  the module
    """Return the package.

    :raises MissingExtraError: when it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError('Exports for ONNX need pip install "haystack-lrl[onnx]"') from error
    return onnxruntime
