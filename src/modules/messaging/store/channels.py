"""Channels: their participants, and what one of these sets for themselves."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from kernel.database import Connection

PARTICIPANTS = """
SELECT user_id, role, joined_at, last_read_seq, last_delivered_seq FROM chat_participants
WHERE channel_id = $1 AND left_seq IS NULL AND ($2::text IS NULL OR user_id = $2) ORDER BY joined_seq, user_id
"""

MUTE = """
UPDATE chat_participants SET muted_until = CASE WHEN $3 > now() THEN $3 END
WHERE channel_id = $1 AND user_id = $2 AND left_seq IS NULL RETURNING muted_until
"""

DIRECT = "SELECT id FROM chat_channels WHERE direct_low = $1 AND direct_high = $2"

DIRECTS_NOT = """
SELECT c.id FROM unnest($1::text[], $2::text[]) AS pair (low, high)
JOIN chat_channels c ON c.direct_low = pair.low AND c.direct_high = pair.high
WHERE c.status <> $3 ORDER BY c.id
"""

DOORS = """
SELECT c.kind, c.title, c.status, own.role, theirs.user_id IS NOT NULL AS is_member,
    CASE WHEN own.role IS NOT NULL THEN (SELECT count(*) FROM chat_participants p
        WHERE p.channel_id = c.id AND p.left_seq IS NULL) END AS members
FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS asked (channel_id, user_id, other_id, i)
LEFT JOIN chat_channels c ON c.id = asked.channel_id
LEFT JOIN chat_participants own
    ON own.channel_id = asked.channel_id AND own.user_id = asked.user_id AND own.left_seq IS NULL
LEFT JOIN chat_participants theirs
    ON theirs.channel_id = asked.channel_id AND theirs.user_id = asked.other_id AND theirs.left_seq IS NULL
ORDER BY asked.i
"""

RENAME = "UPDATE chat_channels SET title = $2 WHERE id = $1 AND title IS DISTINCT FROM $2 RETURNING true"


class Place(NamedTuple):
    """Somebody's place in a channel."""

    user_id: str
    role: str
    joined_at: datetime
    last_read_seq: int
    last_delivered_seq: int


class Door(NamedTuple):
    """What decides whether somebody may bring somebody else into a channel. Of no such channel, all is None."""

    kind: str | None
    title: str | None
    status: str | None
    role: str | None
    is_member: bool
    members: int | None


async def doors(connection: Connection, asked: Sequence[tuple[UUID, str, str]]) -> list[Door]:
    """Return this for each (channel, who, whom), in the order asked."""
    columns = [list(column) for column in zip(*asked, strict=True)] or [[], [], []]
    return [Door(*row.values()) for row in await connection.fetch(DOORS, *columns)]


async def participants(connection: Connection, channel_id: UUID, user_id: str | None = None) -> list[Place]:
    """Return the places of who takes part, in the order in which they joined; with `user_id` of this person only."""
    return [Place(*row.values()) for row in await connection.fetch(PARTICIPANTS, channel_id, user_id)]


async def mute(connection: Connection, channel_id: UUID, user_id: str, until: datetime | None) -> asyncpg.Record | None:
    """Mute a channel for somebody; returns (until when,), None when they don't take part. The past mutes nothing."""
    return await connection.fetchrow(MUTE, channel_id, user_id, until)


async def direct(connection: Connection, pair: tuple[str, str]) -> UUID:
    """Return the direct channel of two people who have one."""
    channel: UUID = await connection.fetchval(DIRECT, *pair)
    return channel


async def directs_not(connection: Connection, pairs: Collection[tuple[str, str]], status: str) -> list[UUID]:
    """Return the direct channels of these pairs of which the status is another, in the order of their locks."""
    lows, highs = [low for low, _ in pairs], [high for _, high in pairs]
    return [row[0] for row in await connection.fetch(DIRECTS_NOT, lows, highs, status)]


async def rename(connection: Connection, channel_id: UUID, title: str | None) -> bool:
    """Give a channel a title; returns whether it had another."""
    return bool(await connection.fetchval(RENAME, channel_id, title))
