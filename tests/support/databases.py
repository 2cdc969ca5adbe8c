"""Fresh databases, each a copy of one migrated template, on an embedded PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil

from kernel import embedded, migrate

TEMPLATE = "parley_template"


class Databases:
    """Makes databases and removes them."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Give the DSN of an empty, migrated database."""
        with self._made_from(TEMPLATE) as dsn:
            yield dsn

    @contextmanager
    def blank(self) -> Iterator[str]:
        """Give the DSN of a database without any tables."""
        with self._made_from("template0") as dsn:
            yield dsn

    @contextmanager
    def _made_from(self, template: str) -> Iterator[str]:
        name = f"test_{uuid4().hex}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield with_database(self._dsn, name)
        finally:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Execute a statement outside these databases, as the superuser."""
        asyncio.run(execute(self._dsn, statement))


def with_database(dsn: str, name: str) -> str:
    """Return the DSN with another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@contextmanager
def databases(data_dir: Path) -> Iterator[Databases]:
    """Run a PostgreSQL with a migrated template."""
    with embedded.running(data_dir) as dsn:
        asyncio.run(execute(dsn, f"CREATE DATABASE {TEMPLATE}"))
        asyncio.run(migrate.upgrade(with_database(dsn, TEMPLATE)))
        yield Databases(dsn)


async def execute(dsn: str, statement: str) -> None:
    """Execute a statement as the owner: the server's own role may do less."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def standing_still(postmaster: int) -> Iterator[None]:
    """Stop every process of a PostgreSQL for a while; some may be about to end by themselves."""
    leader = psutil.Process(postmaster)
    processes = [leader, *leader.children()]
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()
