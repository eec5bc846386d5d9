"""Values through Ray Data: each is one row and one block, and an error that the user can mend is a value too.

An error that a worker raised would take the rows with it that were made before it, and arrive wrapped in Ray's own.
"""

import errno
import pickle
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from haystack_lrl.records.errors import InputError, MissingExtraError

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
