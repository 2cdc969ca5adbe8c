"""How far people have come."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from kernel.database import Connection
from modules.messaging.schemas.marks import Marks

MOVE = """
WITH asked AS MATERIALIZED (
    SELECT a.channel_id, a.user_id, p.last_delivered_seq, p.last_read_seq,
        least(a.delivered, c.last_seq) AS delivered, least(a.read, c.last_seq) AS read
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS a (channel_id, user_id, delivered, read)
    CROSS JOIN LATERAL (
        SELECT * FROM chat_participants p
        WHERE p.channel_id = a.channel_id AND p.user_id = a.user_id AND p.left_seq IS NULL LIMIT 1
    ) p
    CROSS JOIN LATERAL (SELECT last_seq FROM chat_channels c WHERE c.id = a.channel_id LIMIT 1) c
), held AS MATERIALIZED (
    SELECT p.channel_id, p.user_id, a.delivered, a.read, p.last_read_seq AS was_read
    FROM asked a JOIN chat_participants p ON p.channel_id = a.channel_id AND p.user_id = a.user_id
    WHERE p.left_seq IS NULL AND (a.delivered > p.last_delivered_seq OR a.read > p.last_read_seq)
    ORDER BY p.channel_id, p.user_id FOR NO KEY UPDATE OF p
), moved AS (
    UPDATE chat_participants p SET
        last_delivered_seq = greatest(p.last_delivered_seq, h.delivered),
        last_read_seq = greatest(p.last_read_seq, h.read),
        last_read_at = CASE WHEN h.read > p.last_read_seq THEN now() ELSE p.last_read_at END
    FROM held h WHERE p.channel_id = h.channel_id AND p.user_id = h.user_id
    RETURNING p.channel_id, p.user_id, p.last_delivered_seq, p.last_read_seq, h.was_read
)
SELECT a.channel_id, a.user_id,
    coalesce(m.last_delivered_seq, greatest(a.last_delivered_seq, a.delivered)),
    coalesce(m.last_read_seq, greatest(a.last_read_seq, a.read)),
    m.user_id IS NOT NULL, coalesce(m.last_read_seq > m.was_read, false)
FROM asked a LEFT JOIN moved m ON m.channel_id = a.channel_id AND m.user_id = a.user_id
"""
"""Locks only what moves, and always in the same order, so that no two wait for each other."""


class Reached(NamedTuple):
    """Where somebody's marks are, whether they have moved there just now, and whether the read mark has."""

    channel_id: UUID
    user_id: str
    delivered: int
    read: int
    moved: bool
    read_moved: bool


async def move(connection: Connection, asked: Sequence[tuple[UUID, str, int, int]]) -> list[Reached]:
    """Move marks forward, none past its channel's head, each (channel, user, delivered, read) asked for once.

    Returns:
        The marks of those who take part; of others, nothing.
    """
    columns = (list(column) for column in zip(*asked, strict=True))
    return [Reached(*row.values()) for row in await connection.fetch(MOVE, *columns)]


REACHED = """min(greatest(p.last_delivered_seq, p.joined_seq)) FILTER (WHERE p.left_seq IS NULL) AS delivered,
    min(greatest(p.last_read_seq, p.joined_seq)) FILTER (WHERE p.left_seq IS NULL) AS read"""
"""Who joins later takes nothing back: what stands before their joining doesn't wait for them.

`FILTER`: else, until the first ANALYZE, everybody's places are looked through by the index of present ones."""

OTHERS = f"""
SELECT k.channel_id, k.user_id, o.delivered, o.read
FROM unnest($1::uuid[], $2::text[]) AS k (channel_id, user_id) CROSS JOIN LATERAL (
    SELECT {REACHED} FROM chat_participants p WHERE p.channel_id = k.channel_id AND p.user_id <> k.user_id
) o
"""


class Others(NamedTuple):
    """Up to where a channel has arrived at, and was read by, every other participant; 0 where there is none."""

    delivered: int
    read: int


NOBODY_YET = Others(0, 0)
"""How far others have come with what was appended just now."""


async def others(connection: Connection, channel_id: UUID, user_id: str) -> Others:
    """Return how far everybody else has come in a channel."""
    return (await others_in(connection, [channel_id], user_id))[channel_id]


async def others_in(connection: Connection, channels: Collection[UUID], user_id: str) -> dict[UUID, Others]:
    """Return how far everybody else has come in these channels."""
    found = await others_of(connection, [(channel_id, user_id) for channel_id in channels])
    return {channel_id: others for (channel_id, _), others in found.items()}


async def others_of(connection: Connection, places: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Others]:
    """Return for each (channel, user) how far everybody but this user has come."""
    columns = [channel_id for channel_id, _ in places], [user_id for _, user_id in places]
    rows = await connection.fetch(OTHERS, *columns)
    return {(row[0], row[1]): Others(row[2] or 0, row[3] or 0) for row in rows}


SNAPSHOT = "SELECT pg_snapshot_xmin(pg_current_snapshot())"

MOVED_SINCE = """
SELECT p.channel_id, p.user_id, p.last_delivered_seq, p.last_read_seq
FROM unnest($1::uuid[]) AS c (id) CROSS JOIN LATERAL (
    SELECT * FROM chat_participants p WHERE p.channel_id = c.id AND p.left_seq + 0 IS NULL
        AND p.last_delivered_seq > 0 AND age(p.xmin) <= age($2::xid8::xid) OFFSET 0
) p
"""
"""`xmin` names the transaction that wrote a row last, so that moving a mark need not note when."""


async def snapshot(connection: Connection) -> int:
    """Return a place in the database's history: what isn't visible now moves after it. Later ones aren't smaller."""
    place: int = await connection.fetchval(SNAPSHOT)
    return place


async def moved_since(connection: Connection, channels: Collection[UUID], place: int) -> list[Marks]:
    """Return the marks in these channels that have moved since a `snapshot`; of others, now and then, some too."""
    return [Marks(*row) for row in await connection.fetch(MOVED_SINCE, list(channels), place)]
