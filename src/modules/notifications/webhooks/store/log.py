"""Queries of the log: reading it, replaying from it, and clearing it away."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kernel.database import Connection
from modules.notifications.webhooks.delivery import State

COLUMNS = "id, webhook_id, event_id, event_type, state, reason, attempts, due_at, created_at, updated_at"

LIST = f"""
SELECT {COLUMNS} FROM notification_webhook_deliveries
WHERE webhook_id = $1 AND ($2::text IS NULL OR event_type = $2) AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4
"""
LIST_OF_STATE = LIST.replace("WHERE", "WHERE state = $5 AND")
LOCK = f"""
SELECT {COLUMNS} FROM notification_webhook_deliveries WHERE id = $1 AND webhook_id = $2 FOR NO KEY UPDATE
"""
AGAIN = "state = 'pending', reason = NULL, failures = 0, due_at = $2, expires_at = $3, updated_at = $2"
REPLAY = f"UPDATE notification_webhook_deliveries SET {AGAIN} WHERE id = $1 RETURNING {COLUMNS}"
REPLAY_DEAD = f"""
UPDATE notification_webhook_deliveries SET {AGAIN} WHERE id IN (
    SELECT id FROM notification_webhook_deliveries
    WHERE webhook_id = $1 AND state = 'dead' AND created_at >= $4 ORDER BY id LIMIT $5 FOR NO KEY UPDATE
)
"""
GIVE_UP = """
UPDATE notification_webhook_deliveries SET state = 'dead', reason = coalesce(reason, 'expired'), updated_at = $1
WHERE id IN (
    SELECT id FROM notification_webhook_deliveries WHERE state = 'pending' AND expires_at <= $2 AND due_at <= $2
    ORDER BY expires_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
)
"""
PURGE_EVENTS = """
DELETE FROM notification_webhook_events WHERE id IN (
    SELECT e.id FROM notification_webhook_events e WHERE e.created_at <= $1 AND NOT EXISTS (
        SELECT FROM notification_webhook_deliveries d WHERE d.event_id = e.id AND d.state IN ('pending', 'sending')
    )
    ORDER BY e.created_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""
PURGE_DELETED = """
DELETE FROM notification_webhook_deliveries WHERE id IN (
    SELECT d.id FROM notification_webhook_deliveries d JOIN notification_webhooks w ON w.id = d.webhook_id
    WHERE w.deleted_at IS NOT NULL LIMIT $1 FOR UPDATE OF d SKIP LOCKED
)
"""
FORGET = """
DELETE FROM notification_webhooks w WHERE w.deleted_at <= $1
  AND NOT EXISTS (SELECT FROM notification_webhook_deliveries d WHERE d.webhook_id = w.id)
"""


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery, as the log shows it."""

    id: UUID
    webhook_id: UUID
    event_id: UUID
    event_type: str
    state: State
    reason: str | None
    attempts: list[dict[str, Any]]
    due_at: datetime
    created_at: datetime
    updated_at: datetime


async def listing(
    connection: Connection,
    webhook_id: UUID,
    *,
    state: str | None,
    event_type: str | None,
    before: UUID | None,
    limit: int,
) -> list[Logged]:
    """Return a webhook's deliveries, newest first, older than `before`."""
    asked = (webhook_id, event_type, before, limit)
    rows = await (connection.fetch(LIST_OF_STATE, *asked, state) if state else connection.fetch(LIST, *asked))
    return [Logged(**dict(row)) for row in rows]


async def lock(connection: Connection, webhook_id: UUID, delivery_id: UUID) -> Logged | None:
    """Return one, locked until the end of the transaction."""
    row = await connection.fetchrow(LOCK, delivery_id, webhook_id)
    return None if row is None else Logged(**dict(row))


async def replay(connection: Connection, delivery_id: UUID, *, now: datetime, expires_at: datetime) -> Logged:
    """Begin another life of one that is locked."""
    [row] = await connection.fetch(REPLAY, delivery_id, now, expires_at)
    return Logged(**dict(row))


async def replay_dead(
    connection: Connection, webhook_id: UUID, *, since: datetime, now: datetime, expires_at: datetime, limit: int
) -> int:
    """Begin another life of dead ones that were made since a moment, the oldest first. Returns how many."""
    return _count(await connection.execute(REPLAY_DEAD, webhook_id, now, expires_at, since, limit))


async def give_up(connection: Connection, *, now: datetime, expired: datetime, limit: int) -> int:
    """End those whose time is over, and that nobody came to for a while. Returns how many."""
    return _count(await connection.execute(GIVE_UP, now, expired, limit))


async def purge(connection: Connection, *, before: datetime, limit: int) -> int:
    """Clear away old events with their deliveries, and what deleted webhooks left. Returns how many rows at least."""
    counts: Sequence[str] = (
        await connection.execute(PURGE_EVENTS, before, limit),
        await connection.execute(PURGE_DELETED, limit),
    )
    return max(map(_count, counts))


async def forget(connection: Connection, *, deleted_before: datetime) -> None:
    """Clear away webhooks of which nothing is left. Consumers that still knew them have committed by then."""
    await connection.execute(FORGET, deleted_before)


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
