"""What every test stands on: a real PostgreSQL for each worker, a fresh database for each test that asks."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kernel.database import Database
from kernel.settings import Settings
from tests.support.databases import Databases, databases
from tests.support.redis_server import RedisServer, running_redis
from tests.support.servers import Host, Server, running_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes long to CI, and say so."""
    if "PARLEY_TEST_LONG" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="takes long: PARLEY_TEST_LONG=1 runs it, as .ci/run does"))


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One uvloop for the whole run, as `parley serve` has: fixtures of any scope may be asynchronous."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One PostgreSQL for this worker."""
    with databases(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def dsn(postgres: Databases) -> Iterator[str]:
    """The DSN of a fresh, migrated database."""
    with postgres.fresh() as fresh:
        yield fresh


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A fresh database, opened as the server opens it."""
    opened = await Database.connect(dsn, size=10)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def settings(tmp_path: Path, dsn: str) -> Settings:
    """Settings on a fresh database."""
    return Settings(data_dir=tmp_path, database_url=dsn)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """An empty Redis that the test may kill, pause and bring back."""
    with running_redis(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that the tests of a module share."""
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process on a database of its own, shared by the tests of a module."""
    with postgres.fresh() as fresh, running_server(fresh, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def host(server: Server) -> Iterator[Host]:
    """A host's back end with an API key that may do everything."""
    host = Host(server, server.cli("keys", "create", "tests"))
    with host.http:
        yield host
