"""Ray itself: joining it, what of it the workers of a stage get, and its errors in one sentence."""

import contextlib
import logging
import os
import platform
import re
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Any, TypeVar

import haystack_lrl
from haystack_lrl.engine.settings import Engine
from haystack_lrl.records.errors import InputError, MissingExtraError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_HELLO = 5.0  # seconds in which an address must answer: Ray itself would wait for minutes
_TRIES = 3  # of a head that answers, but is busy
READING = 0.1  # of a processor, for what reads files
_WORKING = 1 - READING


@dataclass(frozen=True)
class Share:
    """What the workers of a stage get.

    :param workers: how many.
    :param cpus: processors of each.
    :param gpus: of each.
    """

    workers: int
    cpus: float
    gpus: float


def share_of(nodes: Sequence[Mapping[str, float]], engine: Engine) -> Share:
    """Return how many workers a cluster has room for, so that what reads files always has room beside them.

    Workers that take every processor would wait for ever for readers that find none. A worker of k processors takes
    0.9 k, and nodes get no more workers in all than whole ones fit; so a tenth of one is left on some node, and a
    reader takes no more.

    :param nodes: the resources of each, with the names CPU and GPU.
    :raises InputError: when no node has room for one worker.
    """
    most = _places(nodes, 1, engine.gpus)
    if not most:
        needed = f"{engine.gpus:g} GPUs and a processor" if engine.gpus else "a processor"
        raise InputError(f"No node of the cluster has {needed} for a worker: lower --gpus-per-worker, or add nodes.")
    workers = min(engine.workers or most, most)
    if engine.workers and workers < engine.workers:
        logger.warning("%d workers instead of %d: the cluster has no room for more", workers, engine.workers)
    largest = max(floor(node.get("CPU", 0)) for node in nodes)
    cpus = next(cpus for cpus in range(largest, 0, -1) if _places(nodes, cpus, engine.gpus) >= workers)
    return Share(workers, cpus * _WORKING, engine.gpus)


def _places(nodes: Sequence[Mapping[str, float]], cpus: int, gpus: float) -> int:
    """Return how many workers of that size fit."""
    places = 0
    for node in nodes:
        here = floor(node.get("CPU", 0) / cpus)
        if gpus:  # a worker's share is of one GPU, or whole ones
            own = floor(node.get("GPU", 0))
            here = min(here, floor(own / gpus) if gpus >= 1 else own * floor(1 / gpus))
        places += here
    return places


@contextlib.contextmanager
def joined(engine: Engine) -> Iterator[Share]:
    """Start Ray on this machine or join a cluster, unless this process has, and leave it at the end.

    :raises InputError: when the cluster does not answer, is of another version or has no room, and for what Ray
        reports of the work.
    :raises MissingExtraError: when Ray is not installed.
    """
    ray = load_ray()
    with telling():
        begun = not ray.is_initialized()
        if begun:
            _join(ray, engine.address)
        try:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            yield share_of(nodes, engine)
        finally:
            if begun:
                ray.shutdown()


def on_cluster(work: Callable[..., Result], engine: Engine, **here: Any) -> Result:  # noqa: ANN401 - work's own
    """Join a cluster and do work where it can drive Ray Data: here, or inside one that this machine is no node of.

    :param work: takes what the workers get.
    :param here: keywords of the work that mean nothing inside, such as what shows progress.
    :raises InputError: see `joined` and `from_inside`.
    """
    with joined(engine) as share:
        return from_inside(work, engine) if engine.from_outside else work(share, **here)


def from_inside(work: Callable[[Share], Result], engine: Engine) -> Result:
    """Do work in a task of the cluster, since Ray Data cannot be driven through a client (Ray 2.60).

    :param work: takes what the workers get; it and its result are pickled.
    :raises InputError: for what the user can mend, as the work says it.
    """
    import ray

    inside: Any = ray.remote(num_cpus=0, max_retries=0)(_inside)
    result, sentence = ray.get(inside.remote(work, replace(engine, address="")))
    if sentence:
        raise InputError(sentence)
    done: Result = result
    return done


def _inside(work: Callable[[Share], Result], engine: Engine) -> tuple[Result | None, str]:
    try:
        with joined(engine) as share:
            return work(share), ""
    except (InputError, MissingExtraError) as error:
        return None, str(error)


def check_version(caller: str) -> None:
    """Refuse to work for a command of another version of this package, whose rows would differ.

    :raises InputError: when this node has another one.
    """
    if haystack_lrl.__version__ != caller:
        raise InputError(
            f"The node {platform.node()} has haystack-lrl {haystack_lrl.__version__}, but this command is {caller}: "
            "install the same version on every node."
        )


def load_ray() -> Any:  # noqa: ANN401 - the module
    """Import Ray, quiet, without its statistics and not waiting for ever.

    :raises MissingExtraError: when it is not installed.
    """
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_BACKEND_LOG_LEVEL": "fatal",  # what users can act on comes as an exception
        "RAY_NUM_REDIS_GET_RETRIES": "2",  # of 40 seconds each, instead of 20, where something else than Ray answers
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what Ray would print of workers that it starts anew, on standard output
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError('--engine ray needs pip install "haystack-lrl[ray]"') from error
    # 2.60 has no other way to bound the retries of a block; without a bound, a row that kills every worker never ends
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
    for name in ("ray", "ray.data", "ray._private"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # every row is a block: a batch of items, or of rows that were made
    return ray


def _join(ray: Any, address: str) -> None:  # noqa: ANN401 - the module
    own: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not address:
        _start(ray, own)
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_HELLO).close()
    except OSError as error:
        raise InputError(
            f"The Ray cluster {address} does not answer: start it with `ray start --head`, or correct the address."
        ) from error
    try:
        _connect(ray, address, own)
    except (ConnectionError, TimeoutError) as error:
        raise InputError(
            f"{address} answers, but Ray gets no connection there: check that the port is the cluster's, and that "
            "RAY_AUTH_TOKEN is the same here as there."
        ) from error
    except RuntimeError as error:
        if "Version mismatch" not in str(error):
            raise
        raise InputError(_mismatch(address, str(error))) from error


def _connect(ray: Any, address: str, options: dict[str, Any]) -> None:  # noqa: ANN401 - the module
    for _ in range(_TRIES - 1):
        with contextlib.suppress(ConnectionAbortedError):  # a busy head has not started the client's server in time
            ray.init(address, **options)
            return
    ray.init(address, **options)


def _start(ray: Any, options: dict[str, Any]) -> None:  # noqa: ANN401 - the module
    try:
        ray.init(address="local", include_dashboard=False, **options)
    except Exception as error:
        if "timed out during startup" not in str(error):  # Ray raises nothing narrower
            raise
        raise InputError(
            "Ray did not start in its 30 seconds: this machine is too busy; run the same command again."
        ) from error


def _mismatch(address: str, complaint: str) -> str:
    """Return what versions differ, in one sentence."""
    versions = re.findall(r"(Ray|Python): (\S+)", complaint)
    there, here = (" and ".join(f"{name} {version}" for name, version in versions[at : at + 2]) for at in (0, 2))
    return f"The cluster {address} runs {there}, but this machine {here}: install the same versions everywhere."


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Say in one sentence what Ray reports and a user can mend."""
    from ray import exceptions

    try:
        yield
    except exceptions.AuthenticationError as error:
        raise InputError(
            "The cluster refuses this machine's token: set RAY_AUTH_TOKEN, or RAY_AUTH_MODE=disabled on both sides."
        ) from error
    except exceptions.OutOfDiskError as error:
        raise InputError(
            "A node of the cluster has no room left on its disk: free some, and run the same command again."
        ) from error
    except (
        exceptions.ActorDiedError,
        exceptions.ActorUnavailableError,
        exceptions.ObjectLostError,
        exceptions.OutOfMemoryError,
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
    ) as error:
        raise InputError(
            "A worker died again and again over the same rows: give workers more memory or take fewer with --workers, "
            "and run the same command again."
        ) from error
