"""Messaging's reads and its small writes. The log itself is written by `log.append` only."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.messaging.log.record import COLUMNS, Record

MEMBERSHIP = """
SELECT c.last_seq FROM chat_channels c JOIN chat_participants p ON p.channel_id = c.id
WHERE c.id = $1 AND p.user_id = $2 AND p.left_seq IS NULL
"""

CHANNEL = """
SELECT c.id, c.kind, c.context_type, c.context_id, c.title, c.status, c.last_seq, c.last_message_at, c.created_at,
    (SELECT count(*) FROM chat_participants p WHERE p.channel_id = c.id AND p.left_seq IS NULL) AS participant_count
FROM chat_channels c WHERE c.context_type = $1 AND c.context_id = $2
"""

LOG = f"SELECT {COLUMNS} FROM chat_messages WHERE channel_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"

NEWEST_TEXTS = f"""
SELECT {COLUMNS} FROM chat_messages WHERE channel_id = $1 AND kind = 'text' AND seq < $2 ORDER BY seq DESC LIMIT $3
"""

OLDEST_TEXTS = f"""
SELECT {COLUMNS} FROM chat_messages WHERE channel_id = $1 AND kind = 'text' AND seq > $2 ORDER BY seq LIMIT $3
"""

CHANNEL_IDS = "SELECT channel_id FROM chat_participants WHERE user_id = $1 AND left_seq IS NULL"

HEADS = """
SELECT h.channel_id, h.last_seq, h.last_read_seq, CASE WHEN h.place <= $2 THEN
    (SELECT count(*) FROM chat_messages m
     WHERE m.channel_id = h.channel_id AND m.seq > greatest(h.last_read_seq, h.last_seq - $3)
         AND m.kind = 'text' AND m.sender_id <> $1)
    END AS unread
FROM (
    SELECT p.channel_id, c.last_seq, p.last_read_seq,
        row_number() OVER (ORDER BY c.last_message_at DESC NULLS LAST, c.id) AS place
    FROM chat_participants p JOIN chat_channels c ON c.id = p.channel_id
    WHERE p.user_id = $1 AND p.left_seq IS NULL
) h ORDER BY h.place
"""

RESUMABLE = """
SELECT c.id, c.last_seq FROM chat_participants p JOIN chat_channels c ON c.id = p.channel_id
WHERE p.user_id = $1 AND p.left_seq IS NULL AND c.id = ANY($2::uuid[])
"""

MARK = """
UPDATE chat_participants p SET
    last_delivered_seq = greatest(p.last_delivered_seq, least($3, c.last_seq)),
    last_read_seq = CASE WHEN $4 THEN greatest(p.last_read_seq, least($3, c.last_seq)) ELSE p.last_read_seq END,
    last_read_at = CASE WHEN $4 AND least($3, c.last_seq) > p.last_read_seq THEN now() ELSE p.last_read_at END
FROM chat_channels c WHERE c.id = p.channel_id AND p.channel_id = $1 AND p.user_id = $2 AND p.left_seq IS NULL
RETURNING p.last_delivered_seq, p.last_read_seq
"""

SPANS = """
SELECT s.i, p.left_seq IS NULL AND p.user_id IS NOT NULL AS is_participant, p.muted_until,
    coalesce(u.unread, 0) AS unread, coalesce(u.names, '{}') AS names
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
    AS s (user_id, channel_id, from_seq, to_seq, i)
LEFT JOIN chat_participants p ON p.channel_id = s.channel_id AND p.user_id = s.user_id
LEFT JOIN LATERAL (
    SELECT sum(per_sender.texts)::bigint AS unread, array_agg(per_sender.name ORDER BY per_sender.latest) AS names
    FROM (
        SELECT count(*) AS texts, max(m.seq) AS latest,
            (array_agg(m.sender_display_name ORDER BY m.seq DESC))[1] AS name
        FROM chat_messages m
        WHERE m.channel_id = s.channel_id AND m.seq BETWEEN greatest(s.from_seq, p.last_read_seq + 1) AND s.to_seq
            AND m.seq > p.joined_seq AND m.kind = 'text' AND m.sender_id <> s.user_id
        GROUP BY m.sender_id
    ) per_sender
) u ON true
ORDER BY s.i
"""

EPOCH = """
SELECT format('%s-%s-%s', s.system_identifier, c.timeline_id, d.oid)
FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database()
"""

ISSUE_TICKET = """
INSERT INTO chat_socket_tickets (ticket_hash, user_id, role, credential_expires_at, expires_at)
VALUES ($1, $2, $3, to_timestamp($4), now() + $5 * interval '1 second') RETURNING expires_at
"""

FORGET_TICKETS = """
DELETE FROM chat_socket_tickets WHERE ticket_hash IN (
    SELECT ticket_hash FROM chat_socket_tickets WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
"""Those who come at the same moment neither wait for each other's old tickets nor deadlock over them."""

REDEEM_TICKET = """
DELETE FROM chat_socket_tickets WHERE ticket_hash = $1
RETURNING user_id, role, extract(epoch FROM credential_expires_at)::float8 AS exp, expires_at > now() AS fresh
"""

END_OF_LOG = 2**63 - 1
COUNTED = 1_000


class ContextRow(msgspec.Struct, frozen=True):
    """A stored context; `participants` is user id → role, as the host last said."""

    context_type: str
    context_id: str
    title: str | None
    status: Literal["open", "closed"]
    metadata: dict[str, Any]
    participants: dict[str, str]
    created_at: datetime
    updated_at: datetime


CONTEXT_COLUMNS = ", ".join(ContextRow.__struct_fields__)


async def context(connection: Connection, context_type: str, context_id: str) -> ContextRow | None:
    """Return a context."""
    row = await connection.fetchrow(
        f"SELECT {CONTEXT_COLUMNS} FROM chat_contexts WHERE context_type = $1 AND context_id = $2",
        context_type,
        context_id,
    )
    return None if row is None else ContextRow(*row.values())


async def channel_of_context(connection: Connection, context_type: str, context_id: str) -> asyncpg.Record | None:
    """Return the columns of a ChannelView."""
    return await connection.fetchrow(CHANNEL, context_type, context_id)


async def last_seq_for(connection: Connection, channel_id: UUID, user_id: str) -> int | None:
    """Return where a channel's log ends, to a participant; None to everybody else."""
    seq: int | None = await connection.fetchval(MEMBERSHIP, channel_id, user_id)
    return seq


async def log(connection: Connection, channel_id: UUID, after_seq: int, up_to: int, limit: int) -> list[Record]:
    """Return records in order: those after `after_seq`, up to and with `up_to`."""
    return _records(await connection.fetch(LOG, channel_id, after_seq, up_to, limit))


async def texts_before(connection: Connection, channel_id: UUID, before_seq: int, limit: int) -> list[Record]:
    """Return the last texts before a seq, in order."""
    return _records(await connection.fetch(NEWEST_TEXTS, channel_id, before_seq, limit))[::-1]


async def texts_after(connection: Connection, channel_id: UUID, after_seq: int, limit: int) -> list[Record]:
    """Return the first texts after a seq, in order."""
    return _records(await connection.fetch(OLDEST_TEXTS, channel_id, after_seq, limit))


async def channel_ids(connection: Connection, user_id: str) -> list[UUID]:
    """Return every channel that somebody takes part in."""
    return [row[0] for row in await connection.fetch(CHANNEL_IDS, user_id)]


async def heads(connection: Connection, user_id: str, limit: int) -> list[asyncpg.Record]:
    """Return (channel, last_seq, last_read_seq, unread) of somebody's channels, newest first.

    Unread texts are counted for the first `limit` only, among the newest `COUNTED` records of each: what a connect
    costs doesn't grow with what was never read.
    """
    return await connection.fetch(HEADS, user_id, limit, COUNTED)


async def resumable(connection: Connection, user_id: str, channels: Collection[UUID]) -> dict[UUID, int]:
    """Return where the logs end of those channels that somebody takes part in."""
    return {row[0]: row[1] for row in await connection.fetch(RESUMABLE, user_id, list(channels))}


async def mark(
    connection: Connection, channel_id: UUID, user_id: str, seq: int, *, read: bool
) -> asyncpg.Record | None:
    """Move somebody's marks forward, never past the head; None when they don't take part."""
    return await connection.fetchrow(MARK, channel_id, user_id, seq, read)


async def spans(
    connection: Connection, keys: Sequence[tuple[str, UUID, int, int]]
) -> list[tuple[bool, datetime | None, int, list[str]]]:
    """Return (takes part, muted until, unread texts, their senders) of each (user, channel, from seq, to seq)."""
    rows = await connection.fetch(SPANS, *(list(column) for column in zip(*keys, strict=True)))
    return [(row["is_participant"], row["muted_until"], row["unread"], row["names"]) for row in rows]


async def epoch(connection: Connection) -> str:
    """Return what names this history: another after a restore from a backup or a fail-over."""
    return hashlib.sha256(str(await connection.fetchval(EPOCH)).encode()).hexdigest()[:16]


def _records(rows: list[asyncpg.Record]) -> list[Record]:
    return [Record(*row.values()) for row in rows]
