"""How many statements something takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncpg.connection import LoggedQuery

from kernel.database import Database


@asynccontextmanager
async def statements(dsn: str) -> AsyncIterator[tuple[Database, list[str]]]:
    """Open a database and note every statement that goes to it, `BEGIN` and `COMMIT` included."""
    database = await Database.connect(dsn, size=1)
    noted: list[str] = []

    def note(query: LoggedQuery) -> None:
        noted.append(query.query)

    try:
        for pool in (database.pool, database.reserved):
            async with pool.acquire() as connection:
                connection.add_query_logger(note)
        yield database, noted
    finally:
        await database.close()
