"""Somebody's channels as they see them, each page in one statement.

The channels of a person are put in order, and only of those on the page is anything counted or looked up.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.messaging.fold import Folded
from modules.messaging.store.messages import FOLDED, folded
from modules.messaging.store.unread import SINCE, UNREAD

Kind = Literal["context", "direct", "group"]


class Position(msgspec.Struct, frozen=True):
    """A place in the order of an inbox: newest message first, without one by creation; then by id."""

    active_at: datetime
    channel_id: UUID


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of somebody's channels."""

    kind: Kind | None
    unread: bool
    archived: bool


class Entry(msgspec.Struct, frozen=True):
    """A channel as one of its participants sees it; `last` is its newest text."""

    channel_id: UUID
    kind: Kind
    context_type: str | None
    context_id: str | None
    title: str | None
    status: Literal["active", "archived"]
    last_seq: int
    last_message_at: datetime | None
    created_at: datetime
    direct_low: str | None
    direct_high: str | None
    last_read_seq: int
    muted_until: datetime | None
    active_at: datetime
    unread: int
    participants: int
    last: Folded | None

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.active_at, self.channel_id)


LOOKED_UP = 3
"""Fields of an entry that don't come from its two rows."""
OWN_COLUMNS = Entry.__struct_fields__[:-LOOKED_UP]
PLACE = "(coalesce(c.last_message_at, c.created_at), c.id)"

MINE = f"""
SELECT c.id AS channel_id, c.kind, c.context_type, c.context_id, c.title, c.status, c.last_seq, c.last_message_at,
    c.created_at, c.direct_low, c.direct_high, p.last_read_seq, p.muted_until,
    coalesce(c.last_message_at, c.created_at) AS active_at, p.user_id, {SINCE} AS since
FROM chat_participants p
CROSS JOIN LATERAL (SELECT * FROM chat_channels c WHERE c.id = p.channel_id LIMIT 1) c
WHERE p.user_id = $1 AND p.left_seq IS NULL
"""

LOOK_UP = f"""
SELECT {", ".join(f"h.{column}" for column in OWN_COLUMNS)}, h.unread,
    (SELECT count(*) FILTER (WHERE o.left_seq IS NULL) FROM chat_participants o
     WHERE o.channel_id = h.channel_id) AS participants,
    l.*
FROM h LEFT JOIN LATERAL (
    {FOLDED} WHERE m.channel_id = h.channel_id AND m.kind = 'text' ORDER BY m.seq DESC LIMIT 1
) l ON true
ORDER BY h.active_at DESC, h.channel_id DESC
"""
"""`FILTER`: else, until the first ANALYZE, everybody's places are looked through by the index of present ones."""

PAGE = f"""
WITH h AS (
SELECT h.*, u.unread FROM (
    {MINE} AND c.status = $2 AND ($3::text IS NULL OR c.kind = $3)
        AND ($4::timestamptz IS NULL OR {PLACE} < ($4, $5::uuid))
    ORDER BY active_at DESC, c.id DESC OFFSET 0
) h CROSS JOIN LATERAL (SELECT {UNREAD} AS unread OFFSET 0) u
WHERE NOT $6 OR u.unread > 0
ORDER BY h.active_at DESC, h.channel_id DESC LIMIT $7
) {LOOK_UP}
"""

ONE = f"WITH h AS (SELECT h.*, {UNREAD} AS unread FROM ({MINE} AND p.channel_id = $2) h) {LOOK_UP}"


async def page(connection: Connection, user_id: str, wanted: Filter, after: Position | None, limit: int) -> list[Entry]:
    """Return somebody's channels, newest message first, from the one after `after` on."""
    status = "archived" if wanted.archived else "active"
    start = (None, None) if after is None else (after.active_at, after.channel_id)
    rows = await connection.fetch(PAGE, user_id, status, wanted.kind, *start, wanted.unread, limit)
    return [_entry(row) for row in rows]


async def one(connection: Connection, user_id: str, channel_id: UUID) -> Entry | None:
    """Return a channel to a participant; None to everybody else."""
    row = await connection.fetchrow(ONE, user_id, channel_id)
    return None if row is None else _entry(row)


def _entry(row: asyncpg.Record) -> Entry:
    width = len(Entry.__struct_fields__) - 1
    values = list(row.values())
    last = None if values[width] is None else folded(values[width:])
    values[width:] = [last]
    return Entry(*values)
