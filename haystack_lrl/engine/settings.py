"""Where a stage runs: in this process, or on Ray."""

import re
from dataclasses import dataclass

from haystack_lrl.records.errors import InputError

_ADDRESS = re.compile(r"ray(?::(?://)?([^/:\s]+):(\d+))?")


@dataclass(frozen=True)
class Engine:
    """Ray, and how much of it a stage may take.

    :param address: HOST:PORT of a cluster that this machine is a node of; ray://HOST:PORT of one that it is not, whose
        nodes must see files at the same paths; empty for a Ray of this machine alone.
    :param workers: that hold a model; as many as the cluster has processors, or GPUs where they use them, by default.
    :param gpus: of each worker, fractions allowed.
    """

    address: str = ""
    workers: int | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}, but must be 1 or above")
        if self.gpus < 0:
            raise ValueError(f"gpus is {self.gpus}, but must be 0 or above")

    @property
    def from_outside(self) -> bool:
        """Whether this machine is no node of the cluster."""
        return self.address.startswith("ray://")


def parse_engine(text: str, workers: int | None = None, gpus: float = 0.0) -> Engine | None:
    """Return the engine that a command line names; None for this process.

    :param text: `local`, `ray`, `ray:HOST:PORT` or `ray://HOST:PORT`.
    :raises InputError: for anything else.
    """
    if text == "local":
        if workers is not None or gpus:
            raise InputError("--workers and --gpus-per-worker are for --engine ray: add it, or leave them out.")
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise InputError(
            f"The engine {text!r} is unknown: write local, ray, ray:HOST:6379 on a node of a cluster, or "
            "ray://HOST:10001 on another machine."
        )
    address = text.removeprefix("ray:") if match[1] and "//" not in text else text if match[1] else ""
    return Engine(address, workers, gpus)
