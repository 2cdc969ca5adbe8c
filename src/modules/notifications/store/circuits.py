"""The state of each transport, on all instances alike: whether it is put aside, and when its sender is free."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from kernel.database import Connection
from modules.notifications.domain.circuit import Circuit

COLUMNS = "failures, holds, paused_until, reason, probe_id, probing_until"

PAUSED = "SELECT name, paused_until FROM notification_transports WHERE paused_until > $1"

ALL = f"SELECT name, free_at, {COLUMNS} FROM notification_transports"

READ = f"SELECT free_at, {COLUMNS} FROM notification_transports WHERE name = $1"

MAKE = "INSERT INTO notification_transports (name) VALUES ($1) ON CONFLICT DO NOTHING"

SAVE = f"""
INSERT INTO notification_transports (name, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (name) DO UPDATE
SET failures = $2, holds = $3, paused_until = $4, reason = $5, probe_id = $6, probing_until = $7
"""

PROBE = """
UPDATE notification_transports SET probe_id = $2, probing_until = $3
WHERE name = $1 AND paused_until <= $4 AND (probing_until IS NULL OR probing_until <= $4)
"""

LET_GO = """
UPDATE notification_transports SET probe_id = NULL, probing_until = NULL WHERE name = $1 AND probe_id = $2
"""

OCCUPY = "UPDATE notification_transports SET free_at = $2 WHERE name = $1"

RESUME = """
UPDATE notification_transports SET paused_until = $2, probe_id = NULL, probing_until = NULL
WHERE name = ANY($1) AND paused_until > $2 AND failures = 0
"""


async def paused(connection: Connection, now: datetime) -> Mapping[str, datetime]:
    """Return the transports that are held back, and until when."""
    return {row["name"]: row["paused_until"] for row in await connection.fetch(PAUSED, now)}


async def every(connection: Connection) -> Mapping[str, tuple[Circuit, datetime | None]]:
    """Return the state of all transports, and when their senders are free."""
    return {row["name"]: (_circuit(row), row["free_at"]) for row in await connection.fetch(ALL)}


async def read(connection: Connection, transport: str, *, lock: bool) -> tuple[Circuit, datetime | None]:
    """Return a transport's state; `lock` keeps it until the end of the transaction."""
    query = READ + (" FOR NO KEY UPDATE" if lock else "")
    row = await connection.fetchrow(query, transport)
    if row is None and lock:
        await connection.execute(MAKE, transport)
        row = await connection.fetchrow(query, transport)
    return (Circuit(), None) if row is None else (_circuit(row), row["free_at"])


async def save(connection: Connection, transport: str, circuit: Circuit) -> None:
    """Write a transport's state, under its lock."""
    await connection.execute(
        SAVE,
        transport,
        circuit.failures,
        circuit.holds,
        circuit.paused_until,
        circuit.reason,
        circuit.probe_id,
        circuit.probing_until,
    )


async def probe(connection: Connection, transport: str, delivery_id: UUID, until: datetime, now: datetime) -> bool:
    """Let this delivery go ahead; False when another does."""
    return await connection.execute(PROBE, transport, delivery_id, until, now) == "UPDATE 1"


async def let_go(connection: Connection, transport: str, delivery_id: UUID) -> None:
    """Let another delivery go ahead, should it have been this one's turn."""
    await connection.execute(LET_GO, transport, delivery_id)


async def occupy(connection: Connection, transport: str, free_at: datetime) -> None:
    """Note when the sender is free again, under the transport's lock."""
    await connection.execute(OCCUPY, transport, free_at)


async def resume(connection: Connection, transports: Collection[str], now: datetime) -> None:
    """Try transports that are held back for our own faults. What a provider failed at stays put aside."""
    await connection.execute(RESUME, list(transports), now)


def _circuit(row: "asyncpg.Record") -> Circuit:
    fields = dict(row)
    return Circuit(**{name: fields[name] for name in Circuit.__struct_fields__})
