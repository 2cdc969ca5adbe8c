"""Transports that are held back, on all instances alike."""

from collections.abc import Collection, Mapping
from datetime import datetime

from kernel.database import Connection

PAUSED = "SELECT name, paused_until FROM notification_transports WHERE paused_until > $1"

PAUSE = """
INSERT INTO notification_transports (name, paused_until, reason) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET paused_until = $2, reason = $3
"""

RESUME = "DELETE FROM notification_transports WHERE name = ANY($1)"


async def paused(connection: Connection, now: datetime) -> Mapping[str, datetime]:
    """Return the transports that are held back, and until when."""
    return {row["name"]: row["paused_until"] for row in await connection.fetch(PAUSED, now)}


async def pause(connection: Connection, transport: str, until: datetime, reason: str) -> None:
    """Hold a transport back."""
    await connection.execute(PAUSE, transport, until, reason)


async def resume(connection: Connection, transports: Collection[str]) -> None:
    """Let transports go on."""
    await connection.execute(RESUME, list(transports))
