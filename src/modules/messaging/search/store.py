"""The search index in the database, beside the log that it is made from."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from kernel.database import Connection
from modules.messaging.search.blocks import BLOCK, Position, Reach

REACHES = f"""
SELECT c.id, c.context_type, c.last_seq, coalesce(p.indexed_seq, 0), c.last_record_at,
    CASE WHEN p.indexed_seq >= {BLOCK} THEN ARRAY(
        SELECT (SELECT m.created_at FROM chat_messages m WHERE m.channel_id = c.id AND m.seq = n * {BLOCK} - 1)
        FROM generate_series(1, p.indexed_seq / {BLOCK}) AS n ORDER BY n
    ) ELSE '{{}}' END
FROM chat_participants t
JOIN chat_channels c ON c.id = t.channel_id
LEFT JOIN chat_search_progress p ON p.channel_id = t.channel_id
WHERE t.user_id = $1 AND t.left_seq IS NULL AND ($2::uuid IS NULL OR t.channel_id = $2)
"""

HITS = """
SELECT h.created_at, h.channel_id, h.seq,
    (SELECT m.id FROM chat_messages m WHERE m.channel_id = h.channel_id AND m.seq = h.seq)
FROM (
    SELECT s.created_at, s.channel_id, s.seq
    FROM unnest($1::uuid[], $2::text[]) AS b (channel_id, query)
    CROSS JOIN LATERAL (
        SELECT s.created_at, s.channel_id, s.seq FROM chat_search s
        WHERE s.terms @@ b.query::tsquery AND s.channel_id IS NOT DISTINCT FROM b.channel_id
            AND (s.created_at, s.channel_id, s.seq) < ($3, $4, $5)
        ORDER BY s.seq DESC LIMIT $6
    ) s
    ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT $6
) h
ORDER BY 1 DESC, 2 DESC, 3 DESC
"""
"""IS NOT DISTINCT FROM, because no index knows it: what is left is the one that finds the terms."""

CONCERNED = """
SELECT CASE m.kind WHEN 'text' THEN m.id ELSE m.target_id END
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS s (channel_id, after_seq, up_to)
CROSS JOIN LATERAL (
    SELECT * FROM chat_messages m
    WHERE m.channel_id = s.channel_id AND m.seq > s.after_seq AND m.seq <= s.up_to
        AND m.kind IN ('text', 'revision', 'deletion')
    ORDER BY m.seq DESC LIMIT $4
) m
ORDER BY m.created_at DESC LIMIT $4
"""

OPEN = """
INSERT INTO chat_search_progress (channel_id) SELECT id FROM unnest($1::uuid[]) AS c (id) ORDER BY id
ON CONFLICT DO NOTHING
"""

CLAIM = """
SELECT p.channel_id, p.indexed_seq, c.last_seq
FROM chat_search_progress p JOIN chat_channels c ON c.id = p.channel_id
WHERE p.channel_id = ANY($1::uuid[]) FOR UPDATE OF p SKIP LOCKED
"""

PUT = """
INSERT INTO chat_search (channel_id, seq, created_at, terms)
SELECT channel_id, seq, created_at, terms::tsvector
FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[]) AS e (channel_id, seq, created_at, terms)
ON CONFLICT (channel_id, seq) DO UPDATE SET terms = excluded.terms
"""

DROP = """
DELETE FROM chat_search s USING unnest($1::uuid[], $2::bigint[]) AS e (channel_id, seq)
WHERE s.channel_id = e.channel_id AND s.seq = e.seq
"""

ADVANCE = """
UPDATE chat_search_progress p SET indexed_seq = s.up_to
FROM unnest($1::uuid[], $2::bigint[]) AS s (channel_id, up_to) WHERE p.channel_id = s.channel_id
"""

LAGGING = """
SELECT c.id FROM chat_channels c LEFT JOIN chat_search_progress p ON p.channel_id = c.id
WHERE c.last_seq > coalesce(p.indexed_seq, 0) LIMIT $1
"""

CLEAR = """
LOCK TABLE chat_search_progress IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM chat_search;
DELETE FROM chat_search_progress;
"""


class Hit(NamedTuple):
    """A message that may match."""

    position: Position
    message_id: UUID


class Stretch(NamedTuple):
    """Records of a channel: those after `after_seq`, up to and with `up_to`."""

    channel_id: UUID
    after_seq: int
    up_to: int


class Entry(NamedTuple):
    """What the index is to say of a text; nothing when `terms` is empty."""

    position: Position
    terms: str


async def reaches(connection: Connection, user_id: str, channel_id: UUID | None) -> list[Reach]:
    """Return the channels that somebody takes part in, or that one if they do."""
    return [Reach(*row) for row in await connection.fetch(REACHES, user_id, channel_id)]


async def hits(connection: Connection, queries: Sequence[tuple[UUID, str]], before: Position, limit: int) -> list[Hit]:
    """Return what each (channel, tsquery) finds before a position, the newest of all."""
    columns = list(zip(*queries, strict=True))
    rows = await connection.fetch(HITS, *columns, *before, limit)
    return [Hit(Position(*row[:3]), row[3]) for row in rows]


async def concerned(connection: Connection, stretches: Sequence[Stretch], limit: int) -> list[UUID]:
    """Return the texts that the newest `limit` records of these stretches made or changed; some may be there twice."""
    columns = list(zip(*stretches, strict=True))
    return [row[0] for row in await connection.fetch(CONCERNED, *columns, limit)]


async def claim(connection: Connection, channels: Collection[UUID]) -> list[Stretch]:
    """Lock what these channels have been indexed up to, and return what is to do, also where that is nothing.

    What another transaction holds is left out.
    """
    return [Stretch(*row) for row in await connection.fetch(CLAIM, list(channels))]


async def write(connection: Connection, entries: Sequence[Entry], done: Sequence[Stretch]) -> None:
    """Bring entries up to date and say that these stretches are indexed, under their locks."""
    put = [(*_place(e), e.position.at, e.terms) for e in entries if e.terms]
    drop = [_place(e) for e in entries if not e.terms]
    if put:
        await connection.execute(PUT, *zip(*put, strict=True))
    if drop:
        await connection.execute(DROP, *zip(*drop, strict=True))
    await connection.execute(ADVANCE, [s.channel_id for s in done], [s.up_to for s in done])


async def lagging(connection: Connection, limit: int) -> list[UUID]:
    """Return channels with records that aren't indexed."""
    return [row[0] for row in await connection.fetch(LAGGING, limit)]


def _place(entry: Entry) -> tuple[UUID, int]:
    return entry.position.channel_id, entry.position.seq
