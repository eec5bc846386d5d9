"""Let an OpenSearchDocumentStore find everything or fail: never a part without a word."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from haystack import default_to_dict
from opensearchpy import AsyncHttpConnection, AsyncTransport, Transport

Answer = TypeVar("Answer")


class CompleteResults:
    """Make the transport of a client whose searches ask for all shards; for the keyword `transport_class` of a store.

    When a node dies between the two phases of a search, or a shard has no copy, OpenSearch answers with what is left
    and says so only in `_shards`, which OpenSearchDocumentStore does not read. Asked with
    `allow_partial_search_results=false`, it answers with an error instead, which the client tries again. An object and
    not a class, since a store makes two kinds of client and writes its keywords into YAML.
    """

    def __call__(self, hosts: list[dict[str, Any]], **settings: Any) -> Transport:  # noqa: ANN401
        """Return the transport that a client asks for.

        :param hosts: with `settings`, what the client gives to its transport; an asynchronous one is told by its
            connections, which the store always names.
        """
        connection = settings.get("connection_class")
        asynchronous = connection is not None and issubclass(connection, AsyncHttpConnection)
        transport = (AsyncTransport if asynchronous else Transport)(hosts, **settings)
        transport.perform_request = _complete(transport.perform_request)  # type: ignore[method-assign]
        return transport

    def to_dict(self) -> dict[str, Any]:
        """Return what makes it again."""
        return default_to_dict(self)


def _complete(request: Callable[..., Answer]) -> Callable[..., Answer]:
    def asked(method: str, url: str, params: Mapping[str, Any] | None = None, **named: object) -> Answer:
        if url.endswith("/_search"):
            params = {"allow_partial_search_results": "false", **(params or {})}
        return request(method, url, params=params, **named)

    return asked
