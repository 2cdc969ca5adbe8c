"""The database: one pool for hot paths, one engine for queries composed at run time.

Writes go through `Database.transaction()`, an asyncpg transaction that also carries what is to happen after its
commit. `Database.engine` (SQLAlchemy) reads lists with optional filters. Both log in as the given user and then
act as the run-time role (see `kernel.runtime_role`) where there is one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeAlias

import asyncpg
import msgspec
import structlog
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kernel.errors import UnavailableError
from kernel.runtime_role import RUNTIME_ROLE

log = structlog.get_logger(__name__)

COMMAND_TIMEOUT_S = 30
ACQUIRE_TIMEOUT_S = 10

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's farewell crossed our next command
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    ConnectionError,
    TimeoutError,
    OSError,
)
"""Errors after which the outcome of a transaction is unknown and the same request may be sent again."""


class Transaction:
    """A database transaction and the side effects that wait for its commit; a rollback discards both."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Call `effect` right after the commit, in order of registration. It must not block or raise."""
        self._after_commit.append(effect)

    def release(self) -> None:
        """Run the effects. A failing one is logged and doesn't hurt the others: the commit stands."""
        for effect in self._after_commit:
            try:
                effect()
            except Exception:
                log.exception("after_commit_failed")


@asynccontextmanager
async def transaction_on(connection: Connection) -> AsyncIterator[Transaction]:
    """Run a transaction on a connection that the caller holds."""
    tx = Transaction(connection)
    async with connection.transaction():
        yield tx
    tx.release()


class Database:
    """Connections to PostgreSQL; `open` it before use, `close` it at the end."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    reserved: "asyncpg.Pool[asyncpg.Record]"
    """For the writer: however slow other requests are, messages are still written."""
    engine: AsyncEngine

    @classmethod
    async def connect(cls, dsn: str, *, size: int, role: str | None = RUNTIME_ROLE) -> Self:
        """Return an open database."""
        database = cls()
        await database.open(dsn, size=size, role=role)
        return database

    async def open(self, dsn: str, *, size: int, role: str | None) -> None:
        """Open both pools, acting as `role` (None: as the user of the DSN)."""
        settings = {"application_name": "parley", "timezone": "UTC"} | ({"role": role} if role else {})
        self._dsn, self._settings = plain_dsn(dsn), settings
        self.pool = await _pool(dsn, settings, size)
        self.reserved = await _pool(dsn, settings, 1)
        self.engine = create_async_engine(
            sqlalchemy_url(dsn),
            pool_size=2,
            max_overflow=max(0, size // 2 - 2),
            pool_pre_ping=True,
            connect_args={"server_settings": settings, "command_timeout": COMMAND_TIMEOUT_S},
        )

    async def close(self) -> None:
        """Close every connection, waiting for those in use for at most five seconds."""
        await self.engine.dispose()
        for pool in (self.reserved, self.pool):
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()

    @asynccontextmanager
    async def connection(self, *, reserved: bool = False) -> AsyncIterator[Connection]:
        """Borrow a connection outside a transaction, for reading; `reserved` is the writer's.

        Raises:
            UnavailableError: PostgreSQL is away, or no connection came free in time.
        """
        pool = self.reserved if reserved else self.pool
        try:
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                yield connection  # type: ignore[misc]  # the pool lends a proxy that behaves as one
        except CONNECTION_LOST as error:
            raise database_away(error) from error

    async def dedicated(self, *, timeout_s: float) -> Connection:
        """Open a connection outside the pools, each command on it limited to `timeout_s`. Whoever asks ends it.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError: PostgreSQL is away.
        """
        return await asyncpg.connect(
            self._dsn, timeout=timeout_s, command_timeout=timeout_s, server_settings=self._settings
        )

    @asynccontextmanager
    async def transaction(self, *, reserved: bool = False) -> AsyncIterator[Transaction]:
        """Run a transaction; its after-commit effects have run when the block is left.

        Raises:
            UnavailableError: PostgreSQL is away, or went away: whether the commit happened may be unknown.
        """
        async with self.connection(reserved=reserved) as connection, transaction_on(connection) as tx:
            yield tx


def database_away(error: BaseException) -> UnavailableError:
    """Return the answer to give when `error` says that the connection was lost."""
    log.warning("database_away", error=type(error).__name__)
    return UnavailableError("The database is away; try again", retry_after_s=2)


async def _pool(dsn: str, settings: dict[str, str], size: int) -> "asyncpg.Pool[asyncpg.Record]":
    return await asyncpg.create_pool(
        plain_dsn(dsn),
        min_size=1,
        max_size=size,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=settings,
        init=_read_jsonb,
        reset=_keep,
    )


async def _read_jsonb(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
        schema="pg_catalog",
    )


async def _keep(_connection: Any) -> None:
    """Skip asyncpg's reset on release (a round trip): nothing here changes a session outside a transaction."""


def plain_dsn(dsn: str) -> str:
    """Return the DSN as asyncpg reads it."""
    return dsn.replace("postgresql+asyncpg://", "postgresql://", 1)


def sqlalchemy_url(dsn: str) -> Any:
    """Return the DSN as SQLAlchemy's URL for asyncpg."""
    return make_url(dsn.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+asyncpg")
