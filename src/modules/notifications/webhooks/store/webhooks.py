"""Queries: who is to be sent what."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kernel import locks
from kernel.database import Connection
from kernel.signals import notify
from modules.notifications.webhooks.webhook import Webhook

CHANGED_SIGNAL = "parley_webhooks"
"""Signalled, without saying more, when other events may be wanted than before."""

COLUMNS = ", ".join(Webhook.__struct_fields__)
LIVING = "deleted_at IS NULL"
ENABLED = f"disabled_at IS NULL AND {LIVING}"

COUNT = f"SELECT count(*) FROM notification_webhooks WHERE {LIVING}"
ADD = f"""
INSERT INTO notification_webhooks ({COLUMNS})
VALUES ({", ".join(f"${n}" for n in range(1, len(Webhook.__struct_fields__) + 1))})
"""
SAVE = f"""
UPDATE notification_webhooks SET
    {", ".join(f"{name} = ${n}" for n, name in enumerate(Webhook.__struct_fields__, start=1) if name != "id")}
WHERE id = $1
"""
GET = f"SELECT {COLUMNS} FROM notification_webhooks WHERE id = $1 AND {LIVING}"
GET_LOCKED = f"{GET} FOR NO KEY UPDATE"
LIST = f"""
SELECT {COLUMNS} FROM notification_webhooks WHERE {LIVING} AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2
"""
WANTING = f"SELECT id, events FROM notification_webhooks WHERE {ENABLED}"
DELETE = f"""
UPDATE notification_webhooks SET deleted_at = $2, url = '', secret = '', previous_secret = NULL, previous_until = NULL
WHERE id = $1 AND {LIVING} RETURNING true
"""


async def count_alone(connection: Connection) -> int:
    """Return how many there are; nobody else makes one until the transaction ends."""
    await locks.lock(connection, [("webhooks",)])
    return int(await connection.fetchval(COUNT))


async def add(connection: Connection, webhook: Webhook) -> None:
    """Insert one, and tell every instance."""
    await connection.execute(ADD, *msgspec.structs.astuple(webhook))
    await notify(connection, CHANGED_SIGNAL, str(webhook.id))


async def save(connection: Connection, webhook: Webhook) -> None:
    """Write one that is locked, and tell every instance."""
    await connection.execute(SAVE, *msgspec.structs.astuple(webhook))
    await notify(connection, CHANGED_SIGNAL, str(webhook.id))


async def get(connection: Connection, webhook_id: UUID) -> Webhook | None:
    """Return one."""
    row = await connection.fetchrow(GET, webhook_id)
    return None if row is None else Webhook(**dict(row))


async def lock(connection: Connection, webhook_id: UUID) -> Webhook | None:
    """Return one, locked until the end of the transaction."""
    row = await connection.fetchrow(GET_LOCKED, webhook_id)
    return None if row is None else Webhook(**dict(row))


async def listing(connection: Connection, *, after: UUID | None, limit: int) -> list[Webhook]:
    """Return them in the order in which they were made."""
    return [Webhook(**dict(row)) for row in await connection.fetch(LIST, after, limit)]


async def wanting(connection: Connection) -> Sequence[tuple[UUID, Sequence[str]]]:
    """Return the id and the patterns of each that is to be sent anything."""
    return [(row["id"], row["events"]) for row in await connection.fetch(WANTING)]


async def delete(connection: Connection, webhook_id: UUID, now: datetime) -> bool:
    """End one, and tell every instance. Nothing is sent of what waits; it is cleared away later."""
    found = await connection.fetchval(DELETE, webhook_id, now)
    await notify(connection, CHANGED_SIGNAL, str(webhook_id))
    return bool(found)
