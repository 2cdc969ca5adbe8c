"""From settings to an open, migrated database: the same for the server and for every command."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import structlog

from kernel import embedded, migrate
from kernel.database import Database, plain_dsn
from kernel.settings import Settings, SettingsError

log = structlog.get_logger(__name__)


@asynccontextmanager
async def opened(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Open `database`: start the embedded one where no other is configured, migrate, check that commits are durable.

    Raises:
        SettingsError: no way in, or production on a database that may forget what it has confirmed.
    """
    async with AsyncExitStack() as stack:
        dsn = settings.database_url or await _embedded(settings, stack)
        await _check_durability(dsn, production=settings.production)
        role = await migrate.upgrade(dsn)
        if role is None:
            log.warning("no_runtime_role", detail="the database user may not create it; the log's triggers stand alone")
        await database.open(dsn, size=settings.database_pool_size, role=role)
        stack.push_async_callback(database.close)
        yield


async def _embedded(settings: Settings, stack: AsyncExitStack) -> str:
    running = embedded.running(settings.data_dir)
    dsn = await asyncio.to_thread(running.__enter__)
    stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
    return dsn


async def _check_durability(dsn: str, *, production: bool) -> None:
    try:
        connection = await asyncpg.connect(plain_dsn(dsn))
    except (OSError, asyncpg.PostgresError) as error:
        raise SettingsError([f"PostgreSQL doesn't let us in: {error}"]) from None
    try:
        rows = await connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')"
        )
    finally:
        await connection.close()
    unsafe = [f"PostgreSQL runs with {name}=off: it may forget confirmed messages" for name, on in rows if on == "off"]
    if unsafe and production:
        raise SettingsError(unsafe)
    for problem in unsafe:
        log.warning("not_durable", detail=problem)
