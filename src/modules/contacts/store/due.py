"""What the workers find: invitations whose time has come, and counts whose window is over.

Each reads a range of a partial index that holds nothing but what may fall due. What somebody is just changing is
skipped, not waited for: it is looked at again in the next round.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Literal
from uuid import UUID

from kernel.database import Connection
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.store.invites import COLUMNS, invites_of

What = Literal["expired", "reminded"]

IS_DUE = {
    "expired": "status = 'pending' AND expires_at <= $1",
    "reminded": "status = 'pending' AND remind_at <= $1 AND expires_at > $1",
}
ORDER = {"expired": "expires_at", "reminded": "remind_at"}

FIND = """
SELECT {columns} FROM contact_invites WHERE {is_due} ORDER BY {order} LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
LOCK = """
SELECT id FROM contact_invites WHERE id = ANY($2::uuid[]) AND {is_due} ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

REMOVE_USAGE = """
DELETE FROM contact_usage WHERE (scope, subject, since) IN (
    SELECT scope, subject, since FROM contact_usage WHERE since <= $1 ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""


async def find(connection: Connection, what: What, now: datetime, limit: int) -> list[StoredInvite]:
    """Return invitations that have fallen due, the longest due first, but for those that others hold."""
    statement = FIND.format(columns=COLUMNS, is_due=IS_DUE[what], order=ORDER[what])
    return invites_of(await connection.fetch(statement, now, limit))


async def lock(connection: Connection, what: What, invite_ids: Collection[UUID], now: datetime) -> list[UUID]:
    """Lock those that are still due, until the end of the transaction; returns them. Waits for nobody."""
    rows = await connection.fetch(LOCK.format(is_due=IS_DUE[what]), now, list(invite_ids))
    return [row["id"] for row in rows]


async def remove_usage(connection: Connection, before: datetime, limit: int) -> int:
    """Forget counts of windows that began at a moment or before it; returns how many."""
    return int((await connection.execute(REMOVE_USAGE, before, limit)).rpartition(" ")[2])
