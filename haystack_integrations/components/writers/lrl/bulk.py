"""Documents into OpenSearch by its bulk interface: each written or refused with its reason, none lost."""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from haystack import Document
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from opensearchpy.exceptions import SerializationError, TransportError
from opensearchpy.helpers import scan

from haystack_integrations.components.writers.lrl.outcome import Refused, Written
from haystack_integrations.components.writers.lrl.patience import (
    BUSY,
    Answer,
    NotAllowedError,
    Patience,
    asked,
    check_item,
    later,
    patient_client,
)
from haystack_lrl.records.errors import InputError

logger = logging.getLogger(__name__)

# OpenSearch advises requests of 5 to 15 MB; a character is one to three bytes
_REQUEST_CHARACTERS, _REQUEST_DOCUMENTS = 5_000_000, 500
_SOURCES_ASKED = 1000
_MOST_FOUND = 10_000  # hits of one search, by the server's default
_CONFLICT, _TOO_LARGE = 409, 413


class _Line(NamedTuple):
    id: str
    text: str


class Bulk:
    """The writing side of one store.

    :param workers: requests at the same time.
    :param patience_s: seconds without progress after which writing ends with an error.
    :raises InputError: when there is no such index, or the server cannot be used.
    """

    def __init__(self, store: OpenSearchDocumentStore, workers: int, patience_s: float) -> None:
        self._index: str = store.to_dict()["init_parameters"]["index"]
        self._client = asked(partial(patient_client, store, workers), patience_s)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="bulk")
        self._patience_s = patience_s
        if not self._ask(lambda: self._client.indices.exists(index=self._index)):
            # which the server would make at the first document, without vectors
            raise InputError(f"There is no index or alias {self._index!r}: make it with build_document_store.")

    def write(self, documents: Iterable[Document], policy: DuplicatePolicy) -> Written:
        """Write documents whose ids differ; nothing is searchable before `refresh`.

        :raises InputError: when the server refuses the user, has no space, or takes nothing for too long.
        """
        action = "index" if policy == DuplicatePolicy.OVERWRITE else "create"
        lines, unwritable = [], []
        for document in documents:
            try:
                lines.append(self._line(document, action))
            except SerializationError as error:
                unwritable.append(Refused(document.id, f"cannot be written as JSON: {error.args[1]}"))
        return sum(self._pool.map(self._send, _requests(lines)), start=Written(refused=tuple(unwritable)))

    def delete(self, ids: Iterable[str]) -> None:
        """Delete documents; those that are not there are no error."""
        for request in _requests([_Line(i, f'{{"delete":{self._dumps({"_id": i})}}}\n') for i in ids]):
            self._send(request)

    def ids_from(self, sources: Sequence[str]) -> set[str]:
        """Return the ids of the passages whose `source_id` is one of these, as of the last refresh."""
        starts = range(0, len(sources), _SOURCES_ASKED)
        found = [self._ask(partial(self._ids, sources[start : start + _SOURCES_ASKED])) for start in starts]
        return set().union(*found)

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Let the server make nothing searchable until the block ends, and then everything; also after an error."""
        self.refresh()  # what a killed run wrote
        before = self._refresh_interval()
        restored = None if before == "-1" else before  # a killed run's
        self._set_refresh_interval("-1")
        with contextlib.ExitStack() as after_an_error:
            after_an_error.callback(self._restore_once, restored)
            yield
            after_an_error.pop_all()
        self._set_refresh_interval(restored)
        self.refresh()

    def refresh(self) -> None:
        """Make searchable what was written; where the user may not ask for that, the server does it by itself."""
        with _if_allowed("refresh"):
            self._ask(lambda: self._client.indices.refresh(index=self._index))

    def close(self) -> None:
        """Close connections and threads."""
        self._pool.shutdown()
        self._client.close()

    def _ask(self, request: Callable[[], Answer]) -> Answer:
        return asked(request, self._patience_s)

    def _refresh_interval(self) -> str | None:
        with _if_allowed("read the settings of"):
            found = self._ask(lambda: self._client.indices.get_settings(index=self._index))
            return next((body["settings"]["index"].get("refresh_interval") for body in found.values()), None)
        return None

    def _set_refresh_interval(self, value: str | None) -> None:
        with _if_allowed("change the settings of"):
            self._ask(lambda: self._client.indices.put_settings(index=self._index, body=_interval(value)))

    def _restore_once(self, interval: str | None) -> None:
        with contextlib.suppress(TransportError):  # of a server that is gone; the next run restores it
            self._client.indices.put_settings(index=self._index, body=_interval(interval))

    def _ids(self, sources: Sequence[str]) -> set[str]:
        query = {"query": {"terms": {"source_id": list(sources)}}, "stored_fields": []}  # the ids alone
        asked_for = {**query, "size": _MOST_FOUND, "track_total_hits": True}
        hits = self._client.search(index=self._index, body=asked_for)["hits"]
        if hits["total"]["value"] <= _MOST_FOUND:
            return {hit["_id"] for hit in hits["hits"]}
        if len(sources) > 1:
            half = len(sources) // 2
            return self._ids(sources[:half]) | self._ids(sources[half:])
        # clearing the scroll takes a right that reading does not
        scrolled = scan(self._client, query=query, index=self._index, size=_MOST_FOUND, clear_scroll=False)
        return {hit["_id"] for hit in scrolled}

    def _dumps(self, value: object) -> str:
        return str(self._client.transport.serializer.dumps(value))

    def _line(self, document: Document, action: str) -> _Line:
        source = document.to_dict()
        source.pop("sparse_embedding", None)  # which the store does not write either
        return _Line(document.id, f'{{"{action}":{self._dumps({"_id": document.id})}}}\n{self._dumps(source)}\n')

    def _send(self, lines: Sequence[_Line]) -> Written:
        """Send one request again and again, each time with what the server was too busy for."""
        patience, done, unsure = Patience(self._patience_s), Written(), False
        while lines:
            try:
                answer = self._client.bulk(index=self._index, body="".join(line.text for line in lines))
            except TransportError as error:
                if error.status_code == _TOO_LARGE:
                    return done + self._halved(lines)
                patience.pause(*later(error))
                unsure = True  # it may have written before the connection broke
                continue
            part, lines, cause = _sorted(lines, [next(iter(item.values())) for item in answer["items"]], unsure=unsure)
            done += part
            if part != Written():
                patience.renew()
            if lines:
                patience.pause(cause)
        return done

    def _halved(self, lines: Sequence[_Line]) -> Written:
        if len(lines) == 1:
            return Written(
                refused=(Refused(lines[0].id, f"of {len(lines[0].text)} characters is too large for the server"),)
            )
        half = len(lines) // 2
        return self._send(lines[:half]) + self._send(lines[half:])


def _requests(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Yield lines in requests of a size that the server likes; a longer line goes alone."""
    request: list[_Line] = []
    size = 0
    for line in lines:
        if request and (size + len(line.text) > _REQUEST_CHARACTERS or len(request) == _REQUEST_DOCUMENTS):
            yield request
            request, size = [], 0
        request.append(line)
        size += len(line.text)
    if request:
        yield request


def _sorted(
    lines: Sequence[_Line], items: Sequence[dict[str, Any]], *, unsure: bool
) -> tuple[Written, list[_Line], str]:
    """Return what is done, what is to be sent again, and why.

    :param unsure: whether these may be there because they were sent before.
    """
    written, existing, refused, again, cause = 0, 0, [], [], ""
    for line, item in zip(lines, items, strict=True):
        error = item.get("error")
        if error is None:
            written += 1
            continue
        check_item(error)
        if item["status"] == _CONFLICT:
            existing, written = (existing, written + 1) if unsure else (existing + 1, written)
        elif item["status"] in BUSY:
            again.append(line)
            cause = f"status {item['status']}, {error.get('type')}"
        else:
            refused.append(Refused(line.id, _reason(error)))
    return Written(written, existing, tuple(refused)), again, cause


def _reason(error: dict[str, Any]) -> str:
    cause = error.get("caused_by") or {}
    return ": ".join(str(part["reason"]) for part in (error, cause) if part.get("reason"))


def _interval(value: str | None) -> dict[str, Any]:
    return {"index": {"refresh_interval": value}}


@contextlib.contextmanager
def _if_allowed(what: str) -> Iterator[None]:
    try:
        yield
    except NotAllowedError:
        logger.info("This user may not %s the index; documents are written all the same.", what)
