"""Queries on who wants to hear nothing of whom, and on what that ends."""

from datetime import datetime

import msgspec

from kernel import locks
from kernel.database import Connection
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.store.contacts import Since
from modules.contacts.store.invites import COLUMNS, invites_of

STANDING = "SELECT count(*), bool_or(blocked_id = $2) IS TRUE FROM contact_blocks WHERE blocker_id = $1"

ADD = "INSERT INTO contact_blocks (blocker_id, blocked_id) VALUES ($1, $2)"

REMOVE = "DELETE FROM contact_blocks WHERE blocker_id = $1 AND blocked_id = $2 RETURNING true"

PAGE = """
SELECT b.blocked_id, b.since,
    EXISTS (SELECT FROM contact_invites WHERE invitor_id = b.blocker_id AND invitee_id = b.blocked_id)
    OR EXISTS (SELECT FROM contact_invites WHERE invitor_id = b.blocked_id AND invitee_id = b.blocker_id) AS is_known
FROM (
    SELECT * FROM contact_blocks
    WHERE blocker_id = $1
      AND (since, blocked_id) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, '') COLLATE "C")
    ORDER BY since DESC, blocked_id DESC LIMIT $4
) AS b ORDER BY b.since DESC, b.blocked_id DESC
"""

PENDING = f"""
SELECT {COLUMNS} FROM contact_invites
WHERE (invitor_id, invitee_id) IN (($1, $2), ($2, $1)) AND status = 'pending' ORDER BY id FOR NO KEY UPDATE
"""


class Blocked(msgspec.Struct, frozen=True):
    """Somebody who is blocked; `is_known`: one of the two has once invited the other."""

    user_id: str
    since: datetime
    is_known: bool


async def lock(connection: Connection, user_id: str) -> None:
    """Let nobody else change whom this person blocks, until the end of the transaction; before any pair is locked."""
    await locks.lock(connection, [("blocks", user_id)])


async def standing(connection: Connection, user_id: str, other: str) -> tuple[int, bool]:
    """Return how many somebody blocks, and whether this person is among them."""
    count, is_blocked = await connection.fetchrow(STANDING, user_id, other) or (0, False)
    return count, is_blocked


async def add(connection: Connection, user_id: str, other: str) -> None:
    """Block somebody who isn't blocked."""
    await connection.execute(ADD, user_id, other)


async def remove(connection: Connection, user_id: str, other: str) -> bool:
    """Block somebody no more; returns whether they were."""
    return bool(await connection.fetchval(REMOVE, user_id, other))


async def page(connection: Connection, user_id: str, after: Since | None, limit: int) -> list[Blocked]:
    """Return whom somebody blocks, newest first, from the one after `after` on."""
    start = (None, None) if after is None else (after.since, after.user_id)
    return [Blocked(*row.values()) for row in await connection.fetch(PAGE, user_id, *start, limit)]


async def pending_between(connection: Connection, user_id: str, other: str) -> list[StoredInvite]:
    """Lock the invitations of each kind that wait between two people, and return them."""
    return invites_of(await connection.fetch(PENDING, user_id, other))
