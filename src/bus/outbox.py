"""The outbox table: one row for each consumer of each event; a row's end is its deletion.

No sequence is polled (facts: rows that commit late would be skipped); rows are claimed with SKIP LOCKED.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from bus.events import Event, event_name
from kernel.database import Connection
from kernel.ids import new_id


def stage_sql(first: int) -> str:
    """Return the statement that inserts `Rows`, which are its parameters from `$first` on."""
    ids, consumers, types, payloads = (f"${first + offset}" for offset in range(4))
    return f"""
        INSERT INTO bus_outbox (id, consumer, event_type, payload, staged_at, available_at)
        SELECT id, consumer, event_type, payload, now(), now()
        FROM unnest({ids}::uuid[], {consumers}::text[], {types}::text[], {payloads}::bytea[])
            AS staged (id, consumer, event_type, payload)
    """


STAGE = stage_sql(1)

CLAIM = """
SELECT id, event_type, payload, attempts FROM bus_outbox
WHERE consumer = $1 AND dead_at IS NULL AND available_at <= now()
ORDER BY available_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""

CLAIM_ONE = """
SELECT id, event_type, payload, attempts FROM bus_outbox
WHERE id = $1 AND dead_at IS NULL AND available_at <= now() FOR UPDATE SKIP LOCKED
"""

COMPLETE = "DELETE FROM bus_outbox WHERE id = ANY($1::uuid[])"

FAIL = """
UPDATE bus_outbox SET attempts = attempts + 1, last_error = $2, available_at = now() + $3 * interval '1 second',
    dead_at = CASE WHEN $4 THEN now() END
WHERE id = $1
"""

LIST = """
SELECT id, consumer, event_type, staged_at, available_at, attempts, last_error, dead_at FROM bus_outbox
WHERE NOT $1 OR dead_at IS NOT NULL ORDER BY available_at, id LIMIT $2
"""

REPLAY = """
UPDATE bus_outbox SET dead_at = NULL, attempts = 0, available_at = now()
WHERE dead_at IS NOT NULL AND ($1::uuid[] IS NULL OR id = ANY($1))
"""

AGE = "SELECT coalesce(extract(epoch FROM now() - min(available_at)), 0)::float8 FROM bus_outbox WHERE dead_at IS NULL"


class OutboxRow(msgspec.Struct, frozen=True):
    """One event waiting for one consumer, as operators see it. Its payload isn't shown: it may hold text."""

    id: UUID
    consumer: str
    event_type: str
    staged_at: datetime
    available_at: datetime
    attempts: int
    last_error: str | None
    dead_at: datetime | None


class Rows(NamedTuple):
    """Rows to stage, by column: the parameters of `stage_sql`."""

    ids: list[UUID]
    consumers: list[str]
    types: list[str]
    payloads: list[bytes]


def rows_for(addressed: Iterable[tuple[Event, Sequence[str]]]) -> Rows:
    """Return a row for each consumer of each event."""
    rows = Rows([], [], [], [])
    for event, consumers in addressed:
        payload = msgspec.json.encode(event) if consumers else b""
        for consumer in consumers:
            rows.ids.append(new_id())
            rows.consumers.append(consumer)
            rows.types.append(event_name(type(event)))
            rows.payloads.append(payload)
    return rows


async def claim(connection: Connection, consumer: str, limit: int) -> list[asyncpg.Record]:
    """Lock the rows that are due for `consumer` until the end of the transaction."""
    return await connection.fetch(CLAIM, consumer, limit)


async def claim_one(connection: Connection, row: UUID) -> asyncpg.Record | None:
    """Lock a row until the end of the transaction; None when it isn't due or somebody else has it."""
    return await connection.fetchrow(CLAIM_ONE, row)


async def complete(connection: Connection, ids: Sequence[UUID]) -> None:
    """Remove handled rows."""
    await connection.execute(COMPLETE, ids)


async def fail(connection: Connection, row: UUID, error: str, *, retry_after_s: float, dead: bool) -> None:
    """Put a row off, or bury it where operators see it."""
    await connection.execute(FAIL, row, error, retry_after_s, dead)


async def listing(connection: Connection, *, dead_only: bool, limit: int) -> list[OutboxRow]:
    """Return rows for operators, those due first."""
    return [OutboxRow(*row.values()) for row in await connection.fetch(LIST, dead_only, limit)]


async def replay(connection: Connection, ids: Sequence[UUID] | None) -> int:
    """Give dead rows (all, or those named) a new life; returns how many."""
    status = await connection.execute(REPLAY, ids)
    return int(status.rpartition(" ")[2])


async def oldest_age_s(connection: Connection) -> float:
    """Return for how many seconds the most overdue living row has been due; 0 when there is none."""
    return max(0.0, float(await connection.fetchval(AGE)))
