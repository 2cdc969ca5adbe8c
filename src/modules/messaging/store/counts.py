"""What is unread, for many people at once, and what of it may have changed."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from kernel.database import Connection
from modules.messaging.store.unread import SINCE, UNREAD

COUNTS = f"""
WITH mine AS MATERIALIZED (
    SELECT p.user_id, p.channel_id, c.last_seq, {SINCE} AS since
    FROM (SELECT DISTINCT user_id FROM unnest($1::text[]) AS a (user_id)) a
    CROSS JOIN LATERAL (
        SELECT * FROM chat_participants p WHERE p.user_id = a.user_id AND p.left_seq IS NULL OFFSET 0
    ) p
    CROSS JOIN LATERAL (SELECT * FROM chat_channels c WHERE c.id = p.channel_id LIMIT 1) c
), counted AS MATERIALIZED (
    SELECT h.*, {UNREAD} AS unread FROM mine h WHERE h.last_seq > h.since
), totals AS (
    SELECT user_id, sum(unread)::bigint AS total FROM counted GROUP BY user_id
)
SELECT a.user_id, a.channel_id, coalesce(h.unread, 0), coalesce(t.total, 0), n.sender_id, n.id, n.created_at
FROM unnest($1::text[], $2::uuid[]) AS a (user_id, channel_id)
LEFT JOIN counted h ON h.user_id = a.user_id AND h.channel_id = a.channel_id
LEFT JOIN totals t ON t.user_id = a.user_id
LEFT JOIN LATERAL (
    SELECT m.sender_id, m.id, m.created_at FROM chat_messages m
    WHERE m.channel_id = h.channel_id AND m.seq > h.since AND m.kind = 'text' AND m.sender_id <> h.user_id
        AND NOT EXISTS (SELECT 1 FROM chat_message_state s
            WHERE s.channel_id = m.channel_id AND s.seq = m.seq AND s.deleted_seq IS NOT NULL)
    ORDER BY m.seq DESC LIMIT 1
) n ON h.unread > 0
"""
"""Only the channels of the people asked for are looked up; what they have read costs no more than that."""

CHANGED = """
SELECT p.user_id, p.channel_id FROM unnest($1::text[]) AS a (user_id)
CROSS JOIN LATERAL (
    SELECT * FROM chat_participants p WHERE p.user_id = a.user_id AND p.left_seq IS NULL OFFSET 0
) p
CROSS JOIN LATERAL (SELECT last_record_at FROM chat_channels c WHERE c.id = p.channel_id LIMIT 1) c
WHERE p.last_read_at >= $2 OR c.last_record_at >= $2
"""

MEMBERS = """
SELECT p.user_id, c.id FROM unnest($1::uuid[]) AS c (id) CROSS JOIN LATERAL (
    SELECT * FROM chat_participants p WHERE p.channel_id = c.id AND p.left_seq + 0 IS NULL OFFSET 0
) p
"""

Pair = tuple[str, UUID]


async def counts(connection: Connection, pairs: Collection[Pair]) -> list[asyncpg.Record]:
    """Return (user, channel, unread, unread in all channels, and of the newest unread: sender, id, created_at)."""
    users, channels = zip(*pairs, strict=True)
    return await connection.fetch(COUNTS, users, channels)


async def changed(connection: Connection, user_ids: Collection[str], since: datetime) -> list[Pair]:
    """Return the present channels of these people in which something was recorded, or they read, since then."""
    return [(row[0], row[1]) for row in await connection.fetch(CHANGED, list(user_ids), since)]


async def members(connection: Connection, channels: Collection[UUID]) -> list[Pair]:
    """Return who takes part in these channels."""
    return [(row[0], row[1]) for row in await connection.fetch(MEMBERS, list(channels))]
