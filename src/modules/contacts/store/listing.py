"""Queries that show invitations to their people, newest first.

Each way of asking is one range of an index of the person's own invitations: what others have never matters.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.events import InviteKind, InviteStatus
from modules.contacts.store.invites import COLUMNS, invites_of

Direction = Literal["received", "sent", "all"]

WHOSE = {"received": ("invitee_id",), "sent": ("invitor_id",), "all": ("invitee_id", "invitor_id")}

WANTED = """
  AND ($2::text IS NULL OR status = $2) AND ($2 IS DISTINCT FROM 'pending' OR expires_at > $3)
  AND ($4::text IS NULL OR kind = $4) AND ($5::uuid IS NULL OR channel_id = $5) AND ($6::uuid IS NULL OR id < $6)
"""

MENTIONS = """
SELECT id, other_id, position(lower($8) in lower(coalesce(message, ''))) > 0 AS is_mentioned FROM ({}) AS mine
ORDER BY id DESC LIMIT $7
"""

ONE = f"SELECT {COLUMNS} FROM contact_invites WHERE id = $1 AND $2 IN (invitor_id, invitee_id)"

HISTORY = """
SELECT status, at, by FROM contact_invite_history WHERE invite_id = $1 ORDER BY status <> 'pending', at
"""

OPEN_RECEIVED = f"""
SELECT {COLUMNS} FROM contact_invites
WHERE invitee_id = $1 AND status = 'pending' AND expires_at > $2 AND ($3::uuid IS NULL OR id > $3)
ORDER BY id LIMIT $4
"""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of somebody's invitations; None: any. One that is pending past its time isn't `pending` here."""

    direction: Direction = "received"
    status: InviteStatus | None = None
    kind: InviteKind | None = None
    channel_id: UUID | None = None


class Step(msgspec.Struct, frozen=True):
    """A status that an invitation has had since `at`; `by` None: by itself, or because somebody was deactivated."""

    status: InviteStatus
    at: datetime
    by: str | None


class Candidate(msgspec.Struct, frozen=True):
    """An invitation that may be looked for, and whether its message holds the text."""

    id: UUID
    other_id: str
    is_mentioned: bool


async def page(
    connection: Connection, user_id: str, wanted: Filter, now: datetime, before: UUID | None, limit: int
) -> list[StoredInvite]:
    """Return somebody's invitations, newest first, older than `before`."""
    return invites_of(await _fetch(connection, page_of(wanted), user_id, wanted, now, before, limit))


def page_of(wanted: Filter) -> str:
    """Return the statement behind `page`."""
    return f"SELECT {COLUMNS} FROM ({_mine(wanted, COLUMNS)}) AS mine ORDER BY id DESC LIMIT $7"


async def candidates(
    connection: Connection, user_id: str, wanted: Filter, now: datetime, before: UUID | None, limit: int, text: str
) -> list[Candidate]:
    """Return which `page` would return, and whether their messages contain a text, whatever its case."""
    statement = MENTIONS.format(_mine(wanted, "id, message"))
    found = await _fetch(connection, statement, user_id, wanted, now, before, limit, text)
    return [Candidate(*row.values()) for row in found]


async def one(connection: Connection, invite_id: UUID, user_id: str) -> StoredInvite | None:
    """Return an invitation to one of its two people; None when there is none of theirs."""
    found = invites_of(await connection.fetch(ONE, invite_id, user_id))
    return found[0] if found else None


async def history(connection: Connection, invite_id: UUID) -> list[Step]:
    """Return every status that it has had, in order."""
    return [Step(*row.values()) for row in await connection.fetch(HISTORY, invite_id)]


async def open_received(
    connection: Connection, user_id: str, now: datetime, after: UUID | None, limit: int
) -> list[StoredInvite]:
    """Return what waits for somebody's answer, oldest first, newer than `after`."""
    return invites_of(await connection.fetch(OPEN_RECEIVED, user_id, now, after, limit))


async def _fetch(
    connection: Connection, statement: str, user_id: str, wanted: Filter, now: datetime, *rest: object
) -> Sequence["asyncpg.Record"]:
    return await connection.fetch(statement, user_id, wanted.status, now, wanted.kind, wanted.channel_id, *rest)


def _mine(wanted: Filter, columns: str) -> str:
    """Return a select for each side that somebody may be on, each of them in the order of its index."""
    is_pending = " AND status = 'pending'" if wanted.status == "pending" else ""
    sides = [
        f"(SELECT {columns}, {_other(side)} AS other_id FROM contact_invites"
        f" WHERE {side} = $1{is_pending}{WANTED} ORDER BY id DESC LIMIT $7)"
        for side in WHOSE[wanted.direction]
    ]
    return " UNION ALL ".join(sides)


def _other(side: str) -> str:
    return "invitor_id" if side == "invitee_id" else "invitee_id"
