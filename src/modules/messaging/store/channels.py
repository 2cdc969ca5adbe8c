"""Channels: their participants, and what one of these sets for themselves."""

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

RENAME = "UPDATE chat_channels SET title = $2 WHERE id = $1 AND title IS DISTINCT FROM $2 RETURNING true"


class Place(NamedTuple):
    """Somebody's place in a channel."""

    user_id: str
    role: str
    joined_at: datetime
    last_read_seq: int
    last_delivered_seq: int


async def participants(connection: Connection, channel_id: UUID, user_id: str | None = None) -> list[Place]:
    """Return the places of who takes part, in the order in which they joined; with `user_id` of this person only."""
    return [Place(*row.values()) for row in await connection.fetch(PARTICIPANTS, channel_id, user_id)]


async def mute(connection: Connection, channel_id: UUID, user_id: str, until: datetime | None) -> asyncpg.Record | None:
    """Mute a channel for somebody; returns (until when,), None when they don't take part. The past mutes nothing."""
    return await connection.fetchrow(MUTE, channel_id, user_id, until)


async def direct(connection: Connection, pair: tuple[str | None, str | None]) -> UUID:
    """Return the direct channel of two people who have one."""
    channel: UUID = await connection.fetchval(DIRECT, *pair)
    return channel


async def rename(connection: Connection, channel_id: UUID, title: str | None) -> bool:
    """Give a channel a title; returns whether it had another."""
    return bool(await connection.fetchval(RENAME, channel_id, title))
