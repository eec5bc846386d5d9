"""Write OpenVINO graphs: fp32, bf16, 8-bit weights, 8-bit weights and activations."""

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from haystack_lrl.adaptation.export.graph import OUTPUTS, Graph
from haystack_lrl.encoding.openvino import import_openvino, without_telemetry
from haystack_lrl.records.errors import MissingExtraError


def write_openvino(graph: Graph, path: Path, weights: str, calibration: Sequence[Mapping[str, Any]]) -> None:
    """Trace the model and write it.

    :param weights: `fp32`; `bf16`, the same file, computed in bf16; `int8-weights`; or `int8`, whose activations are in
        8 bits too.
    :param calibration: token ids and masks of the texts that the ranges of activations are taken from.
    :raises MissingExtraError: when OpenVINO, or NNCF for 8 bits, is not installed.
    """
    openvino = import_openvino()
    with torch.no_grad(), without_telemetry(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, about branches on shapes: the gate compares vectors
        model = openvino.convert_model(graph, example_input={name: graph.example[name] for name in graph.names})
    for put, name in zip(model.inputs, graph.names, strict=True):
        put.get_tensor().set_names({name})
    for put, name in zip(model.outputs, OUTPUTS, strict=True):
        put.get_tensor().set_names({name})
    if weights == "int8":
        model = _quantised(model, [{name: row[name] for name in graph.names} for row in calibration])
    elif weights == "int8-weights":
        with _quietly():
            model = import_nncf().compress_weights(model)
    path.parent.mkdir(parents=True)
    # half precision in the file would round weights twice: cosines down to 0.99990 in place of 0.99993
    openvino.save_model(model, path, compress_to_fp16=False)


def _quantised(model: Any, rows: Sequence[Any]) -> Any:  # noqa: ANN401  OpenVINO's Model
    """Quantise weights and activations after training, each by ranges seen on the rows."""
    nncf = import_nncf()
    with _quietly():
        return nncf.quantize(
            model,
            nncf.Dataset(rows),
            subset_size=len(rows),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
        )


def _quietly() -> contextlib.AbstractContextManager[object]:
    """Keep NNCF's progress bars, which it has no setting for, out of the standard output."""
    return contextlib.redirect_stdout(io.StringIO())


def import_nncf() -> Any:  # noqa: ANN401  the module, which has no types
    """Return the package.

    :raises MissingExtraError: when it is not installed.
    """
    try:
        with without_telemetry():
            import nncf
    except ImportError as error:
        raise MissingExtraError('Exports in 8 bits for OpenVINO need pip install "haystack-lrl[openvino]"') from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf
