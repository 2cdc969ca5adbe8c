"""Records and messages.

What belongs to a row is looked up by a subquery for that row: as plain joins these are planned as scans of whole
tables until the first ANALYZE, and pages get slower as the log grows.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.messaging.fold import Folded
from modules.messaging.log.record import COLUMNS, Record

END_OF_LOG = 2**63 - 1
WIDTH = len(Record.__struct_fields__)
RECORD = ", ".join(f"m.{column}" for column in COLUMNS.split(", "))

LOG = f"""
SELECT {RECORD}, CASE WHEN m.kind IN ('text', 'revision') THEN (
    SELECT s.deleted_at FROM chat_message_state s WHERE s.channel_id = m.channel_id AND s.seq =
        CASE m.kind WHEN 'text' THEN m.seq ELSE (SELECT t.seq FROM chat_messages t WHERE t.id = m.target_id) END
) END
FROM chat_messages m WHERE m.channel_id = $1 AND m.seq > $2 AND ($4::text IS NULL OR EXISTS (
    SELECT FROM chat_participants p WHERE p.channel_id = $1 AND p.user_id = $4 AND p.left_seq IS NULL
)) ORDER BY m.seq LIMIT $3
"""

FOLDED = f"""
SELECT {RECORD}, coalesce(r.content, m.content), coalesce(s.revision, 0), s.revision_seq, s.edited_at,
    s.deleted_seq, s.deleted_at, s.deleted_by, coalesce(s.reactions, '{{}}'), coalesce(s.updated_seq, m.seq)
FROM chat_messages m
LEFT JOIN LATERAL (
    SELECT * FROM chat_message_state s WHERE s.channel_id = m.channel_id AND s.seq = m.seq LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT content FROM chat_messages r WHERE r.channel_id = m.channel_id AND r.seq = s.revision_seq LIMIT 1
) r ON true
"""

BEFORE = f"{FOLDED} WHERE m.channel_id = $1 AND m.kind = 'text' AND m.seq < $2 ORDER BY m.seq DESC LIMIT $3"
AFTER = f"{FOLDED} WHERE m.channel_id = $1 AND m.kind = 'text' AND m.seq > $2 ORDER BY m.seq LIMIT $3"
BY_ID = f"{FOLDED} WHERE m.id = ANY($1::uuid[]) AND m.kind = 'text'"

CHANNELS_OF = "SELECT id, channel_id FROM chat_messages WHERE id = ANY($1::uuid[]) AND kind = 'text'"

SENDER_OF = "SELECT sender_id FROM chat_messages WHERE id = $1"

REVISIONS = f"""
SELECT {RECORD} FROM chat_messages m
WHERE m.channel_id = $1 AND m.kind = 'revision' AND m.target_id = $2 ORDER BY m.seq OFFSET $3 LIMIT $4
"""

SAVE_STATES = """
INSERT INTO chat_message_state (channel_id, seq, sender_id, revision, revision_seq, edited_at, deleted_seq,
    deleted_at, deleted_by, reactions, updated_seq)
SELECT channel_id, seq, sender_id, revision, revision_seq, edited_at, deleted_seq, deleted_at, deleted_by,
    reactions::jsonb, updated_seq
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::int[], $5::bigint[], $6::timestamptz[], $7::bigint[],
    $8::timestamptz[], $9::text[], $10::text[], $11::bigint[])
    AS s (channel_id, seq, sender_id, revision, revision_seq, edited_at, deleted_seq, deleted_at, deleted_by,
        reactions, updated_seq)
ON CONFLICT (channel_id, seq) DO UPDATE SET revision = excluded.revision, revision_seq = excluded.revision_seq,
    edited_at = excluded.edited_at, deleted_seq = excluded.deleted_seq, deleted_at = excluded.deleted_at,
    deleted_by = excluded.deleted_by, reactions = excluded.reactions, updated_seq = excluded.updated_seq
"""


class Logged(msgspec.Struct, frozen=True):
    """A record; of a text or a revision also when the message was deleted, after which it says nothing any more."""

    record: Record
    deleted_at: datetime | None


async def log(connection: Connection, channel_id: UUID, after_seq: int, limit: int, reader: str | None) -> list[Logged]:
    """Return the records after `after_seq`, in order; to a `reader` none, unless they take part."""
    rows = await connection.fetch(LOG, channel_id, after_seq, limit, reader)
    return [_logged(row) for row in rows]


async def texts_before(connection: Connection, channel_id: UUID, before_seq: int, limit: int) -> list[Folded]:
    """Return the last texts before a seq, in order."""
    return _folded(await connection.fetch(BEFORE, channel_id, before_seq, limit))[::-1]


async def texts_after(connection: Connection, channel_id: UUID, after_seq: int, limit: int) -> list[Folded]:
    """Return the first texts after a seq, in order."""
    return _folded(await connection.fetch(AFTER, channel_id, after_seq, limit))


async def texts(connection: Connection, message_ids: Collection[UUID]) -> dict[UUID, Folded]:
    """Return those of these that are texts."""
    return {one.record.id: one for one in _folded(await connection.fetch(BY_ID, list(message_ids)))}


async def channels_of(connection: Connection, message_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the channels of those of these that are texts."""
    return {row[0]: row[1] for row in await connection.fetch(CHANNELS_OF, list(message_ids))}


async def sender_of(connection: Connection, message_id: UUID) -> str | None:
    """Return who wrote a message; None if there is none."""
    sender: str | None = await connection.fetchval(SENDER_OF, message_id)
    return sender


async def revisions(connection: Connection, channel_id: UUID, message_id: UUID, after: int, limit: int) -> list[Record]:
    """Return the revisions of a text after the first `after` of them, in order."""
    rows = await connection.fetch(REVISIONS, channel_id, message_id, after, limit)
    return [Record(*row.values()) for row in rows]


async def save(connection: Connection, changed: Sequence[Folded]) -> None:
    """Keep what became of texts, under the locks of their channels."""
    await connection.execute(
        SAVE_STATES,
        [one.record.channel_id for one in changed],
        [one.record.seq for one in changed],
        [one.record.sender_id for one in changed],
        [one.revision for one in changed],
        [one.revision_seq for one in changed],
        [one.edited_at for one in changed],
        [one.deleted_seq for one in changed],
        [one.deleted_at for one in changed],
        [one.deleted_by for one in changed],
        [msgspec.json.encode(one.reactions).decode() for one in changed],
        [one.updated_seq for one in changed],
    )


def _logged(row: asyncpg.Record) -> Logged:
    *columns, deleted_at = row.values()
    return Logged(Record(*columns), deleted_at)


def _folded(rows: list[asyncpg.Record]) -> list[Folded]:
    return [folded(tuple(row.values())) for row in rows]


def folded(values: Sequence[Any]) -> Folded:
    """Return what a row of `FOLDED` says."""
    return Folded(Record(*values[:WIDTH]), *values[WIDTH:])
