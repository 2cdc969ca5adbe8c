"""Queries that write invitations. Each change of status writes its line of the history in the same statement."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.contacts.domain.invites import REMIND_EVERY, StoredInvite
from modules.contacts.events import InviteStatus

COLUMNS = """
id, kind, status, invitor_id, invitee_id, channel_id, channel_title, channel_role, message, metadata, created_at,
expires_at, responded_at, remind_at, reminded_at, reminders
"""

CREATE = """
WITH made AS (
    INSERT INTO contact_invites (id, kind, invitor_id, invitee_id, channel_id, channel_title, channel_role, message,
                                 metadata, created_at, expires_at, remind_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                         $9::jsonb[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
    RETURNING id, created_at, invitor_id
)
INSERT INTO contact_invite_history (invite_id, status, at, by) SELECT id, 'pending', created_at, invitor_id FROM made
"""

CREATING = (
    *("id", "kind", "invitor_id", "invitee_id", "channel_id", "channel_title", "channel_role", "message"),
    *("metadata", "created_at", "expires_at", "remind_at"),
)

CLOSE = f"""
WITH closed AS (
    UPDATE contact_invites AS i SET status = $2, remind_at = NULL,
        responded_at = CASE WHEN $2 IN ('accepted', 'declined') THEN $3::timestamptz END
    WHERE id = ANY($1::uuid[]) AND status = 'pending'
    RETURNING i.*
), told AS (
    INSERT INTO contact_invite_history (invite_id, status, at, by) SELECT id, $2, $3, $4 FROM closed
)
SELECT {COLUMNS} FROM closed ORDER BY id
"""

FIND = f"SELECT {COLUMNS} FROM contact_invites WHERE id = ANY($1::uuid[]) ORDER BY id DESC"

LOCK = f"SELECT {COLUMNS} FROM contact_invites WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"

REMIND = f"""
UPDATE contact_invites SET reminders = reminders + 1, reminded_at = $2::timestamptz,
    remind_at = CASE WHEN remind_at >= $2::timestamptz + $3::interval THEN remind_at END
WHERE id = ANY($1::uuid[]) AND status = 'pending' RETURNING {COLUMNS}
"""


async def create(connection: Connection, invites: Sequence[StoredInvite]) -> None:
    """Insert pending invitations.

    Raises:
        asyncpg.UniqueViolationError: one waits for its answer already.
    """
    columns = [[getattr(invite, column) for invite in invites] for column in CREATING]
    await connection.execute(CREATE, *columns)


async def find(connection: Connection, invite_ids: Collection[UUID]) -> list[StoredInvite]:
    """Return those of these invitations that there are, newest first."""
    return invites_of(await connection.fetch(FIND, list(invite_ids)))


async def lock(connection: Connection, invite_ids: Collection[UUID]) -> list[StoredInvite]:
    """Lock invitations until the end of the transaction, always in the same order; returns those that there are."""
    return invites_of(await connection.fetch(LOCK, list(invite_ids)))


async def close(
    connection: Connection, invite_ids: Collection[UUID], status: InviteStatus, now: datetime, by: str | None
) -> list[StoredInvite]:
    """Give pending invitations their last status; returns those that were pending, as they are now."""
    return invites_of(await connection.fetch(CLOSE, list(invite_ids), status, now, by))


async def remind(connection: Connection, invite_ids: Collection[UUID], now: datetime) -> list[StoredInvite]:
    """Count a reminder of pending invitations; returns them, as they are now.

    The automatic one still comes, unless it would come too soon after this one, or is this one.
    """
    return invites_of(await connection.fetch(REMIND, list(invite_ids), now, REMIND_EVERY))


def invites_of(rows: Sequence["asyncpg.Record"]) -> list[StoredInvite]:
    """Read rows of `COLUMNS`."""
    return [msgspec.convert(dict(row), StoredInvite) for row in rows]
