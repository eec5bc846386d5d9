"""Requests to OpenSearch that wait out a server that is busy, restarting or unreachable.

Pauses grow exponentially, with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015), and are never shorter
than the server asks for.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import AuthenticationException, AuthorizationException, SSLError, TransportError
from opensearchpy.exceptions import ConnectionError as Unreachable

from haystack_integrations.document_stores.lrl import CompleteResults
from haystack_lrl.records.errors import InputError

logger = logging.getLogger(__name__)

BUSY = frozenset({429, 502, 503, 504})
"""Statuses that say: later."""

_HALVED = 500  # of a search whose node dies between its two phases

FULL = "The index is closed for writing, mostly because the disk is full: free space and run the same again"
"""What a watermark of the disk means for the user."""

_BLOCKED = "cluster_block_exception"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0

Answer = TypeVar("Answer")


class NotAllowedError(InputError):
    """The server knows the user and does not let them do this."""


class Busy(TransportError):
    """The server asks to come back later, after so many seconds where it says so."""

    @property
    def retry_after_s(self) -> float:
        """Seconds to wait at least; dates, which the header may hold too, count as nothing said."""
        said = self.args[3]
        return float(said) if said.isdecimal() else 0.0


class _Connection(Urllib3HttpConnection):
    """A connection whose errors keep the header Retry-After, which the library drops."""

    def perform_request(  # type: ignore[no-untyped-def]  # noqa: ANN202
        self,
        method,  # noqa: ANN001
        url,  # noqa: ANN001
        params=None,  # noqa: ANN001
        body=None,  # noqa: ANN001
        timeout=None,  # noqa: ANN001
        ignore=(),  # noqa: ANN001
        headers=None,  # noqa: ANN001
    ):
        status, answered, data = super().perform_request(
            method, url, params, body, timeout=timeout, ignore=(*ignore, *BUSY), headers=headers
        )
        if status in BUSY and status not in ignore:
            after = {name.lower(): value for name, value in answered.items()}.get("retry-after", "")
            raise Busy(status, data[:500], {}, after)
        return status, answered, data


class Patience:
    """How long a server may give no sign of progress, and the pauses between tries.

    :param seconds: without progress, after which `pause` raises.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Begin anew after progress."""
        self._tries = 0
        self._deadline = time.monotonic() + self._seconds

    def pause(self, cause: str, least_s: float = 0.0) -> None:
        """Wait before the next try.

        :raises InputError: when the patience is over.
        """
        if time.monotonic() + least_s > self._deadline:
            raise InputError(
                f"The server has taken nothing for {self._seconds:g} s ({cause}): when it is well, run the same again, "
                "what it has is not written twice."
            )
        pause = random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**self._tries))
        self._tries += 1
        logger.info("The server does not take documents now (%s); the next try is in %.1f s.", cause, pause + least_s)
        time.sleep(max(0.0, min(least_s + pause, self._deadline - time.monotonic())))


def patient_client(store: OpenSearchDocumentStore, connections: int) -> OpenSearch:
    """Return a client for the server of a store that never tries again by itself, since that would be without a pause.

    :param connections: that are open at the same time.
    """
    _open(store)
    assert store._client is not None
    transport = store._client.transport
    settings: dict[str, Any] = {**transport.kwargs, "max_retries": 0, "pool_maxsize": connections}
    settings["transport_class"] = CompleteResults()  # what is not found is written again, or stays though it is old
    if transport.connection_class is Urllib3HttpConnection:
        settings["connection_class"] = _Connection
    return OpenSearch(transport.hosts, **settings)


def _open(store: OpenSearchDocumentStore) -> None:
    try:
        store._ensure_initialized()
    except TransportError:
        store.close()  # which would not make its index at the next try
        raise


def asked(request: Callable[[], Answer], patience_s: float) -> Answer:
    """Return what the server answers, after however many tries.

    :raises InputError: when it refuses the user, its certificate is not trusted, or it does not answer in time.
    """
    patience = Patience(patience_s)
    while True:
        try:
            return request()
        except TransportError as error:
            patience.pause(*later(error))


def later(error: TransportError) -> tuple[str, float]:
    """Return why to try again and after how many seconds at least.

    :raises InputError: for what no waiting mends.
    :raises TransportError: the same, for what is no refusal.
    """
    if _BLOCKED in str(error.error):
        raise InputError(f"{FULL} ({said(error)})") from error
    if isinstance(error, AuthenticationException):
        raise InputError("The server refuses the user or the password: check the Secrets of the store.") from error
    if isinstance(error, SSLError):
        raise InputError("The server's certificate is signed by nobody trusted: give the store ca_certs.") from error
    if isinstance(error, AuthorizationException):
        raise not_allowed(said(error)) from error
    if isinstance(error, Unreachable):  # a time-out is one
        return type(error).__name__, 0.0
    if error.status_code not in {*BUSY, _HALVED}:
        raise error
    return f"status {error.status_code}", error.retry_after_s if isinstance(error, Busy) else 0.0


def check_item(error: dict[str, Any]) -> None:
    """Raise what concerns the whole index, in an answer about one document.

    :raises InputError: when the server has no space, or the user may not write.
    """
    if error.get("type") == _BLOCKED:
        raise InputError(f"{FULL} ({error.get('reason')})")
    if error.get("type") == "security_exception":
        raise not_allowed(str(error.get("reason")))


def not_allowed(reason: str) -> NotAllowedError:
    """Return the error with the rights that are needed."""
    return NotAllowedError(
        f"The server does not allow this user to do that ({reason}): indexing takes the rights crud, "
        "create_index and cluster_composite_ops."
    )


def said(error: TransportError) -> str:
    """Return the server's own words of an error."""
    cause = error.info.get("error") if isinstance(error.info, dict) else None
    return str(cause.get("reason") if isinstance(cause, dict) else cause or error.error)
