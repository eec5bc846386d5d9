"""Real servers for the tests of a module."""

import pytest
from opensearch_node import running


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A server that asks nobody for a password."""
    from haystack.utils import Secret

    from pipelines.server import Server

    nobody = tuple(Secret.from_env_var(name, strict=False) for name in ("NO_SUCH_USER", "NO_SUCH_PASSWORD"))
    with running(tmp_path_factory.mktemp("opensearch")) as node:
        yield Server(node.url, nobody)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    rights = "plugins.security.restapi.roles_enabled=all_access"  # lets the admin make the user that may only read
    with running(tmp_path_factory.mktemp("secured"), "--secure", "-E", rights) as node:
        yield node
