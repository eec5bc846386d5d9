"""Copies of shards, which a load does without: each would index every document once more.

OpenSearch copies the finished shards at the end ("Tuning for indexing speed" in its documentation). How many copies
there were is written into the index itself, so that the next run restores them where this one was killed.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException, TransportError

from pipelines.server import Server

logger = logging.getLogger(__name__)

_NOTE = "haystack_lrl_replicas"


@contextmanager
def without_replicas(server: Server, index: str) -> Iterator[None]:
    """Let an index, or each index behind an alias, have no replicas until the block ends; also after an error.

    An index whose replicas follow the nodes (`auto_expand_replicas`) keeps them, and so does one that the user may not
    change.
    """
    with server.client() as client:
        before = _replicas(client, index)
    with ExitStack() as after_an_error:
        after_an_error.callback(_restore_once, server, before)
        _set_aside(server, before)
        yield
        after_an_error.pop_all()
    with server.client() as client:
        _restore(client, before)


def _replicas(client: OpenSearch, index: str) -> dict[str, int]:
    """Return the replicas of each index that had any before this run, or before one that was killed."""
    notes = {name: body["mappings"].get("_meta", {}) for name, body in client.indices.get_mapping(index=index).items()}
    found = {}
    try:
        settings = client.indices.get_settings(index=index)
    except AuthorizationException:
        logger.info("This user may not read the settings of the index; its replicas stay.")
        return {}
    for name, body in settings.items():
        own = body["settings"]["index"]
        replicas = int(notes[name].get(_NOTE, own["number_of_replicas"]))
        if replicas and own.get("auto_expand_replicas", "false") == "false":
            found[name] = replicas
    return found


def _set_aside(server: Server, before: Mapping[str, int]) -> None:
    for name, replicas in before.items():
        with server.client() as client:
            try:
                _note(client, name, {_NOTE: replicas})
                client.indices.put_settings(index=name, body=_setting(0))
            except AuthorizationException:
                logger.info("This user may not change the settings of the index; its replicas stay.")


def _restore(client: OpenSearch, before: Mapping[str, int]) -> None:
    for name, replicas in before.items():
        with suppress(AuthorizationException):  # who may not change it has not changed it
            client.indices.put_settings(index=name, body=_setting(replicas))
            _note(client, name, {})


def _restore_once(server: Server, before: Mapping[str, int]) -> None:
    with suppress(TransportError, ValueError), server.client() as client:  # a server that is gone: the next run does it
        _restore(client, before)


def _note(client: OpenSearch, name: str, note: Mapping[str, int]) -> None:
    meta = client.indices.get_mapping(index=name)[name]["mappings"].get("_meta", {})
    kept = {key: value for key, value in meta.items() if key != _NOTE}
    client.indices.put_mapping(index=name, body={"_meta": {**kept, **note}})


def _setting(replicas: int) -> dict[str, Any]:
    return {"index": {"number_of_replicas": replicas}}
