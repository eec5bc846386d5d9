"""Which of a model's forms to run: torch, or an export that passed the language gate."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from haystack_lrl.encoding.exported import FORMATS, MANIFEST, Format, Manifest
from haystack_lrl.encoding.sources import Source
from haystack_lrl.records.errors import InputError

logger = logging.getLogger(__name__)

Backend = Literal["torch", "torch-bf16", "openvino", "onnx", "auto", Format]

BACKENDS: tuple[Backend, ...] = ("torch", "torch-bf16", "openvino", "onnx", "auto", *FORMATS)
EXPORTS = "exports"
"""The folder beside a model that holds a folder for each of its exports: `runs/epo/model`, `runs/epo/exports/*`."""

# by eval/embedder_speed.py on one core with AVX512-BF16; fp32 and ONNX by a short trial: 1.6, 1.3, 2.6 times stock
_FASTEST: tuple[Format, ...] = (
    "openvino-int8",
    "openvino-int8-weights",
    "openvino-bf16",
    "openvino-fp32",
    "onnx-fp32",
    "onnx-int8",
)


@dataclass(frozen=True)
class Export:
    """An exported model and what its manifest says of it."""

    folder: Path
    manifest: Manifest

    @property
    def passed(self) -> bool:
        """Whether the language gate measured it and let it pass."""
        return bool(self.manifest.gate and self.manifest.gate["passed"])


def exports_of(source: Source, folder: Path | None) -> list[Export]:
    """Return the exports that were made of exactly these weights, those that passed the gate first, then the fastest.

    :param folder: what holds them; the folder `exports` beside the model by default.
    :raises InputError: when a manifest is damaged.
    """
    if (source.folder / MANIFEST).is_file():
        return [Export(source.folder, Manifest.read(source.folder))]
    found = [
        Export(path.parent, Manifest.read(path.parent))
        for path in sorted((folder or beside(source)).glob(f"*/{MANIFEST}"))
        if path.parent.suffix != ".partial"
    ]
    own = [export for export in found if export.manifest.source == source.identity]
    if len(own) < len(found):
        logger.info("%d exports are of other weights than %s and are not used.", len(found) - len(own), source.folder)
    return sorted(own, key=lambda export: (not export.passed, _FASTEST.index(export.manifest.format)))


def beside(source: Source) -> Path:
    """Return the folder of exports beside a model; for a model of the hub, the one in the working directory."""
    return source.folder.absolute().parent / EXPORTS if source.local else Path(EXPORTS)


def choices(backend: Backend, source: Source, folder: Path | None, *, rather_torch: bool) -> Iterator[Export | None]:
    """Yield what to run, best first, where a missing runtime makes `auto` go on to the next; None for torch.

    `auto` takes what passed the gate only; a back end that is named runs whatever the gate said, with a warning.

    :param rather_torch: `auto` takes torch: on a GPU, or with settings that exports do not know.
    :raises InputError: when there is nothing to run.
    """
    exported = (source.folder / MANIFEST).is_file()
    if not exported and (backend in {"torch", "torch-bf16"} or (backend == "auto" and rather_torch)):
        yield None
        return
    exports = exports_of(source, folder)
    if backend == "auto":
        passed = [export for export in exports if export.passed]
        yield from passed
        if not exported:
            yield None
        if passed or not exported:
            return
    fitting = [export for export in exports if _fits(export.manifest.format, backend)]
    if not fitting:
        raise InputError(_nothing(backend, source, exported=exported))
    if not fitting[0].passed:
        logger.warning("%s did not pass the language gate and is used since backend names it.", fitting[0].folder)
    yield fitting[0]


def _fits(kind: Format, backend: Backend) -> bool:
    return kind == backend or kind.partition("-")[0] == backend


def _nothing(backend: Backend, source: Source, *, exported: bool) -> str:
    if exported:
        own = Manifest.read(source.folder).format
        return (
            f"{source.folder} is an export ({own}) that backend={backend!r} cannot run or the language gate did not "
            f"pass: give backend={own!r}, or the model that it was made of."
        )
    kind = backend if backend in FORMATS else f"{backend}-fp32"
    return (
        f"{source.name} has no export for backend={backend!r} of its present weights: run haystack-lrl export --model "
        f"{source.name} --format {kind} --output {beside(source) / kind}, or give backend='auto'."
    )
