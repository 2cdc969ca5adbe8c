"""Migrations: applied at start, in one transaction, under an advisory lock, so that any number may start at once."""

from functools import cache, partial
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from kernel import runtime_role
from kernel.database import sqlalchemy_url

log = structlog.get_logger(__name__)

ADVISORY_LOCK = 0x7061726C6579  # "parley"


async def upgrade(dsn: str) -> str | None:
    """Bring the database to the newest schema and prepare the run-time role, all or nothing.

    Returns:
        The role that the server should act as, or None where the user of the DSN may not make one.
    """
    return await _migrate(dsn, "head")


async def downgrade(dsn: str, revision: str) -> None:
    """Walk the schema back to `revision` ("base": to nothing)."""
    await _migrate(dsn, revision, down=True)


async def at_head(connection: AsyncConnection) -> bool:
    """Return whether the schema is the one that this code was written for."""
    return await connection.run_sync(lambda sync: set(MigrationContext.configure(sync).get_current_heads()) == _heads())


@cache
def _heads() -> set[str]:
    """Read it once: readiness is asked for all the time, and the scripts of a running program don't change."""
    return set(ScriptDirectory.from_config(_config()).get_heads())


async def _migrate(dsn: str, revision: str, *, down: bool = False) -> str | None:
    engine = create_async_engine(sqlalchemy_url(dsn))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            await connection.run_sync(partial(_run, revision, down=down))
            return runtime_role.RUNTIME_ROLE if await runtime_role.apply(connection) else None
    finally:
        await engine.dispose()


def _run(revision: str, connection: Connection, *, down: bool) -> None:
    config = _config()
    config.attributes["connection"] = connection
    (command.downgrade if down else command.upgrade)(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    """Find `migrations/`: beside `src` in a checkout, beside the packages when installed."""
    source = Path(__file__).resolve().parent.parent
    beside = source / "migrations"
    return beside if beside.is_dir() else source.parent / "migrations"
