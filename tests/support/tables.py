"""What a database holds, to tell whether something was left behind."""

import asyncio
import time

import asyncpg

PATIENCE_S = 10


def contents(dsn: str) -> dict[str, str]:
    """Return a digest of every table's rows, but for API keys, which note when they were last used."""
    return asyncio.run(_contents(dsn))


def settled(dsn: str) -> None:
    """Wait until every staged event has been consumed."""
    deadline = time.monotonic() + PATIENCE_S
    while asyncio.run(_fetchval(dsn, "SELECT count(*) FROM bus_outbox")):
        assert time.monotonic() < deadline, "events are still waiting"
        time.sleep(0.05)


async def _contents(dsn: str) -> dict[str, str]:
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        digest = "SELECT count(*) || md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {} t"
        names = sorted(row[0] for row in tables if row[0] != "identity_api_keys")
        return {name: await connection.fetchval(digest.format(name)) for name in names}
    finally:
        await connection.close()


async def _fetchval(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
