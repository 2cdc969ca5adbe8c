"""The writer's reads, each one statement for a whole batch."""

from collections.abc import Collection, Sequence
from uuid import UUID

from kernel.database import Connection
from modules.messaging.log.record import COLUMNS, Head, Record
from modules.messaging.writer.channel import Channel
from modules.messaging.writer.send import ContextKey

CHANNELS_OF_CONTEXTS = """
SELECT c.context_type, c.context_id, c.id
FROM unnest($1::text[], $2::text[]) AS k (context_type, context_id)
JOIN chat_channels c USING (context_type, context_id)
"""

LOCK = """
SELECT id, last_seq, head_hash, last_record_at, last_message_at, membership_seq, kind, context_type, context_id, status
FROM chat_channels WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

MEMBERS = """
SELECT k.channel_id, p.user_id, p.role FROM unnest($1::uuid[]) AS k (channel_id) CROSS JOIN LATERAL (
    SELECT * FROM chat_participants p WHERE p.channel_id = k.channel_id AND p.left_seq + 0 IS NULL OFFSET 0
) p
"""
"""Looked up for each channel (so say OFFSET and `+ 0`), as `REPEATS` below."""

REPEATS = f"""
SELECT {", ".join("m." + column for column in COLUMNS.split(", "))}
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (channel_id, sender_id, client_id)
CROSS JOIN LATERAL (
    SELECT * FROM chat_messages m
    WHERE m.channel_id = k.channel_id AND m.sender_id = k.sender_id AND m.client_id = k.client_id LIMIT 1
) m
"""
"""A look-up by index for each key, whatever the planner believes of the table: as a join it is planned as a scan of
the whole log until the first ANALYZE, and each batch gets slower as the log grows."""


async def channels_of(connection: Connection, keys: Collection[ContextKey]) -> dict[ContextKey, UUID]:
    """Return the channels of those contexts that have one."""
    rows = await connection.fetch(CHANNELS_OF_CONTEXTS, [k.context_type for k in keys], [k.context_id for k in keys])
    return {ContextKey(row["context_type"], row["context_id"]): row["id"] for row in rows}


async def lock(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Channel]:
    """Lock channels in the order of their ids (so that no two writers wait for each other) and read all but members."""
    return {row[0]: Channel(Head(*row[:6]), *row[6:]) for row in await connection.fetch(LOCK, list(ids))}


async def members(connection: Connection, ids: Collection[UUID]) -> dict[UUID, dict[str, str]]:
    """Return user id → role for each channel."""
    found: dict[UUID, dict[str, str]] = {channel: {} for channel in ids}
    for channel, user, role in await connection.fetch(MEMBERS, list(ids)):
        found[channel][user] = role
    return found


async def repeats(
    connection: Connection, keys: Sequence[tuple[UUID, str, str]]
) -> dict[tuple[UUID, str, str | None], Record]:
    """Return the records that (channel, sender, client_id) already made.

    A statement of its own, after the lock: only then does it see what the previous holder of the lock committed.
    """
    columns = list(zip(*keys, strict=True)) or [(), (), ()]
    rows = await connection.fetch(REPEATS, *columns)
    records = [Record(*row.values()) for row in rows]
    return {(r.channel_id, r.sender_id or "", r.client_id): r for r in records}
