"""How far people have come."""

from typing import NamedTuple
from uuid import UUID

import asyncpg

from kernel.database import Connection

MARK = """
UPDATE chat_participants p SET
    last_delivered_seq = greatest(p.last_delivered_seq, least($3, c.last_seq)),
    last_read_seq = CASE WHEN $4 THEN greatest(p.last_read_seq, least($3, c.last_seq)) ELSE p.last_read_seq END,
    last_read_at = CASE WHEN $4 AND least($3, c.last_seq) > p.last_read_seq THEN now() ELSE p.last_read_at END
FROM chat_channels c WHERE c.id = p.channel_id AND p.channel_id = $1 AND p.user_id = $2 AND p.left_seq IS NULL
RETURNING p.last_delivered_seq, p.last_read_seq
"""


async def mark(
    connection: Connection, channel_id: UUID, user_id: str, seq: int, *, read: bool
) -> asyncpg.Record | None:
    """Move somebody's marks forward, never past the head; None when they don't take part."""
    return await connection.fetchrow(MARK, channel_id, user_id, seq, read)


OTHERS = """
SELECT min(last_delivered_seq), min(last_read_seq) FROM chat_participants
WHERE channel_id = $1 AND user_id <> $2 AND left_seq IS NULL
"""


class Others(NamedTuple):
    """Up to where a channel has arrived at, and was read by, every other participant; 0 where there is none."""

    delivered: int
    read: int


async def others(connection: Connection, channel_id: UUID, user_id: str) -> Others:
    """Return how far everybody else has come."""
    row = await connection.fetchrow(OTHERS, channel_id, user_id)
    return Others(*(value or 0 for value in row)) if row else Others(0, 0)
