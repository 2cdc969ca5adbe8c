"""Queries about what people leave behind who are deactivated, a bounded part at a time."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from kernel.database import Connection
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import Pair
from modules.contacts.store.invites import COLUMNS, invites_of
from modules.contacts.store.pairs import pairs_of

Departed: TypeAlias = Mapping[str, datetime | None]
"""People, and up to when what they had is theirs to leave behind; None: all of it."""

GONE = "unnest($1::text[], $2::timestamptz[]) AS gone (user_id, until)"

PENDING = f"""
SELECT left_behind.* FROM {GONE}, LATERAL (
    SELECT {COLUMNS} FROM contact_invites
    WHERE {{side}} = gone.user_id AND status = 'pending' AND created_at <= coalesce(gone.until, 'infinity')
    LIMIT $3) AS left_behind
"""

PAIRS = f"""
SELECT left_behind.* FROM {GONE}, LATERAL (
    SELECT low_id, high_id FROM contact_pairs
    WHERE {{side}} = gone.user_id AND since <= coalesce(gone.until, 'infinity') LIMIT $3) AS left_behind
"""

UNBLOCK = f"""
DELETE FROM contact_blocks USING {GONE}
WHERE blocker_id = gone.user_id AND since <= coalesce(gone.until, 'infinity')
"""


async def pending(connection: Connection, gone: Departed, limit: int) -> list[StoredInvite]:
    """Return pending invitations from and to these people."""
    return invites_of(await connection.fetch(_of_both(PENDING, "invitee_id", "invitor_id"), *_columns(gone), limit))


async def pairs(connection: Connection, gone: Departed, limit: int) -> list[Pair]:
    """Return pairs of contacts that these people are in."""
    return pairs_of(await connection.fetch(_of_both(PAIRS, "low_id", "high_id"), *_columns(gone), limit))


async def unblock(connection: Connection, gone: Departed) -> None:
    """Forget whom these people had blocked."""
    await connection.execute(UNBLOCK, *_columns(gone))


def _of_both(part: str, *sides: str) -> str:
    """Return what finds the same whichever side of it they are on, and once where they are on both."""
    return f"SELECT * FROM ({' UNION '.join(part.format(side=side) for side in sides)}) AS theirs LIMIT $3"


def _columns(gone: Departed) -> tuple[list[str], list[datetime | None]]:
    return list(gone), list(gone.values())
