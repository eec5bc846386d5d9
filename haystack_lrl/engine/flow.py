"""Values through Ray Data: each is one row and one block, and an error that the user can mend is a value too.

An error that a worker raised would take the rows with it that were made before it, and arrive wrapped in Ray's own.
"""

import errno
import logging
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from haystack_lrl.engine.cluster import Share
from haystack_lrl.records.errors import InputError, MissingExtraError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

Batch = Mapping[str, Any]
"""Columns of a block: `data` has pickled values, `error` sentences, empty where there is none."""

RETRIES = 5  # of a block whose worker died; a row that kills every worker must end the job some time
_BLOCKS = 1000  # of the input: each costs the driver a millisecond
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}


def dataset(values: Sequence[object], *, ordered: bool = False) -> Any:  # noqa: ANN401 - Ray's types know no blocks as generators make them
    """Return values as a `ray.data.Dataset`.

    :param ordered: what is made of them comes in their order.
    """
    import ray.data

    rows = [{"data": pickle.dumps(value), "error": ""} for value in values]
    made = ray.data.from_items(rows, override_num_blocks=min(len(rows), _BLOCKS))
    made.context.execution_options.preserve_order = ordered
    return made


def on_workers(flow: Any, worker: type, share: Share, **given: Any) -> Any:  # noqa: ANN401 - Datasets
    """Return a dataset of what workers make of another one's blocks; a block whose worker dies goes to another one.

    :param worker: a class of callables, built once in every process.
    :param given: its keywords.
    """
    from ray.data import ActorPoolStrategy

    return flow.map_batches(
        worker,
        fn_constructor_kwargs=given,
        batch_size=None,
        compute=ActorPoolStrategy(min_size=1, max_size=share.workers, initial_size=share.workers),
        num_cpus=share.cpus,
        num_gpus=share.gpus or None,
        max_task_retries=RETRIES,
    )


def surviving(work: Callable[[], Result]) -> Result:
    """Do work anew when a node is gone before Ray knows that, since Ray then repeats nothing (2.60).

    :param work: leaves out what it finds done.
    """
    from ray.exceptions import ActorUnavailableError

    for _ in range(RETRIES - 1):
        try:
            return work()
        except ActorUnavailableError:
            logger.warning("A node does not answer any more: what is missing is done on the others.")
    return work()


def values_of(batch: Batch) -> Iterator[Any]:
    """Yield the values of a block.

    :raises InputError: for an error among them.
    """
    for data, error in zip(batch["data"], batch["error"], strict=True):
        if error:
            raise InputError(str(error))
        yield pickle.loads(data)  # from our own workers


def told(values: Iterable[object]) -> Iterator[Batch]:
    """Yield values as blocks, and an error that the user can mend as the last of them."""
    try:
        for value in values:
            yield {"data": [pickle.dumps(value)], "error": [""]}
    except (InputError, MissingExtraError) as error:
        yield {"data": [b""], "error": [str(error)]}
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f"{error.filename or 'A file'} on the node {socket.gethostname()}"
        sentence = f"{where} could not be written ({error.strerror}): mend that and run the same command again."
        yield {"data": [b""], "error": [sentence]}


def streamed(flow: Any) -> Iterator[Any]:  # noqa: ANN401 - a Dataset
    """Yield the values of a dataset while they are made.

    :raises InputError: for the first error among them.
    """
    for block in flow.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
        yield from values_of({name: block[name].to_pylist() for name in ("data", "error")})
