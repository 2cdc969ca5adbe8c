"""Queries about what people leave behind who are deactivated, a bounded part at a time."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from kernel.database import Connection
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import Pair
from modules.contacts.store.invites import COLUMNS, invites_of

Departed: TypeAlias = Mapping[str, datetime | None]
"""People, and up to when what they had is theirs to leave behind; None: all of it."""

GONE = "unnest($1::text[], $2::timestamptz[]) AS gone (user_id, until)"

PENDING = " UNION ALL ".join(
    f"""
SELECT left_behind.* FROM {GONE}, LATERAL (
    SELECT {COLUMNS} FROM contact_invites
    WHERE {side} = gone.user_id AND status = 'pending' AND created_at <= coalesce(gone.until, 'infinity')
    LIMIT $3) AS left_behind"""
    for side in ("invitee_id", "invitor_id")
)

PAIRS = " UNION ".join(
    f"""
SELECT left_behind.* FROM {GONE}, LATERAL (
    SELECT low_id, high_id FROM contact_pairs
    WHERE {side} = gone.user_id AND since <= coalesce(gone.until, 'infinity') LIMIT $3) AS left_behind"""
    for side in ("low_id", "high_id")
)

UNBLOCK = f"""
DELETE FROM contact_blocks USING {GONE}
WHERE blocker_id = gone.user_id AND since <= coalesce(gone.until, 'infinity')
"""


async def pending(connection: Connection, gone: Departed, limit: int) -> list[StoredInvite]:
    """Return pending invitations from and to these people."""
    statement = f"SELECT * FROM ({PENDING}) AS theirs LIMIT $3"
    return invites_of(await connection.fetch(statement, *_columns(gone), limit))


async def pairs(connection: Connection, gone: Departed, limit: int) -> list[Pair]:
    """Return pairs of contacts that these people are in."""
    statement = f"SELECT * FROM ({PAIRS}) AS theirs LIMIT $3"
    rows = await connection.fetch(statement, *_columns(gone), limit)
    return [(row["low_id"], row["high_id"]) for row in rows]


async def unblock(connection: Connection, gone: Departed) -> None:
    """Forget whom these people had blocked."""
    await connection.execute(UNBLOCK, *_columns(gone))


def _columns(gone: Departed) -> tuple[list[str], list[datetime | None]]:
    return list(gone), list(gone.values())
