"""Servers for the security tests: one with strict settings, one that takes tokens in the query."""

from collections.abc import Iterator

import pytest

from tests.support.databases import Databases
from tests.support.servers import Host, Server, running_server


@pytest.fixture(scope="package")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for one second only, and lets three sockets in for each person."""
    folder = tmp_path_factory.mktemp("security")
    limits = {"PARLEY_WS_AUTH_TIMEOUT_S": "1", "PARLEY_MAX_SOCKETS_PER_USER": "3"}
    with postgres.fresh() as dsn, running_server(dsn, folder, **limits) as running:
        yield running


@pytest.fixture(scope="module")
def query_host(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The host of another server, one that takes tokens in the query."""
    folder = tmp_path_factory.mktemp("query")
    with postgres.fresh() as dsn, running_server(dsn, folder, PARLEY_WS_QUERY_TOKEN="true") as running:
        host = Host(running, running.cli("keys", "create", "tests"))
        with host.http:
            yield host
