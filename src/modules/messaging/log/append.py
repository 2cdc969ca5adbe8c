"""Extends logs. Callers hold the row locks of all channels concerned, and that is what makes `seq` gap-free."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from bus import outbox
from kernel.clock import rfc3339
from kernel.database import Connection
from kernel.ids import new_id
from modules.messaging.log.chain import SALT_BYTES, CommittedPayload, HashedRecord, commitment, next_hash
from modules.messaging.log.record import COLUMNS, Draft, Head, Record

MOVE_HEADS = """
UPDATE chat_channels AS c SET last_seq = h.last_seq, head_hash = h.head_hash, last_record_at = h.last_record_at,
    last_message_at = h.last_message_at, membership_seq = h.membership_seq
FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
    AS h (id, last_seq, head_hash, last_record_at, last_message_at, membership_seq)
"""

INSERT_RECORDS = f"""
INSERT INTO chat_messages ({COLUMNS})
SELECT channel_id, seq, id, kind, sender_id, sender_username, sender_display_name, client_id, target_id, content,
    salt, commitment, details::jsonb, created_at, hash
FROM unnest($7::uuid[], $8::bigint[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
    $15::uuid[], $16::text[], $17::bytea[], $18::bytea[], $19::text[], $20::timestamptz[], $21::bytea[])
    AS record ({COLUMNS})
"""

INSERT = f"WITH appended AS ({INSERT_RECORDS}) {MOVE_HEADS} WHERE c.id = h.id"

INSERT_TEXTS_EXPECTING = f"""
WITH locked AS MATERIALIZED (
    SELECT id, head_hash FROM chat_channels WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
), expected AS MATERIALIZED (
    SELECT chat_expect_heads(count(*), cardinality($2::bytea[])) AS met
    FROM locked WHERE head_hash = ANY($2::bytea[])
), appended AS (
    INSERT INTO chat_messages (channel_id, seq, created_at, hash, kind, id, sender_id, sender_username,
        sender_display_name, client_id, content, salt, commitment)
    SELECT channel_id, seq, created_at, hash, 'text', id, sender_id, sender_username,
        sender_display_name, client_id, content, salt, commitment
    FROM unnest($1::uuid[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::uuid[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[])
        AS record (channel_id, seq, created_at, hash, id, sender_id, sender_username, sender_display_name, client_id,
            content, salt, commitment)
    CROSS JOIN expected
), staged AS ({outbox.stage_sql(14)}), heads AS (
    SELECT DISTINCT ON (channel_id) channel_id, seq, created_at, hash
    FROM unnest($1::uuid[], $3::bigint[], $4::timestamptz[], $5::bytea[]) AS record (channel_id, seq, created_at, hash)
    ORDER BY channel_id, seq DESC
)
UPDATE chat_channels AS c SET last_seq = h.seq, head_hash = h.hash, last_record_at = h.created_at,
    last_message_at = h.created_at
FROM heads h CROSS JOIN expected WHERE c.id = h.channel_id
"""
"""No more arrays than needed: encoding them is a quarter of what a message costs here."""


class HeadMovedError(Exception):
    """A log doesn't end where the caller believed: somebody else has appended to it meanwhile."""


def extend(head: Head, draft: Draft, now: datetime) -> Record:
    """Give `draft` the next place in the log and move `head` there. Time never runs backwards in a channel."""
    at = max(now, head.last_record_at)
    seq = head.last_seq + 1
    hidden = draft.content is not None or draft.sender_id is not None
    salt = os.urandom(SALT_BYTES) if hidden else None
    committed = commitment(_payload(draft), salt) if salt else None
    hashed = HashedRecord(
        channel_id=head.channel_id,
        client_id=draft.client_id,
        commitment=committed.hex() if committed else None,
        created_at=rfc3339(at),
        details=draft.details,
        id=new_id(),
        kind=draft.kind,
        sender_id=draft.sender_id,
        seq=seq,
        target_id=draft.target_id,
    )
    head.last_seq = seq
    head.head_hash = next_hash(head.head_hash, hashed)
    head.last_record_at = at
    if draft.kind == "text":
        head.last_message_at = at
    if draft.kind.startswith("participant_"):
        head.membership_seq = seq
    return Record(
        head.channel_id,
        seq,
        hashed.id,
        draft.kind,
        draft.sender_id,
        draft.sender_username,
        draft.sender_display_name,
        draft.client_id,
        draft.target_id,
        draft.content,
        salt,
        committed,
        draft.details,
        at,
        head.head_hash,
    )


async def insert(connection: Connection, records: Sequence[Record], heads: Sequence[Head]) -> None:
    """Write records and the heads that they led to, in one statement, under the locks of their channels."""
    await connection.execute(INSERT, *_head_columns(heads), *_record_columns(records))


async def insert_texts_expecting(
    connection: Connection, records: Sequence[Record], before: Sequence[bytes], rows: outbox.Rows
) -> None:
    """Lock the channels of texts, check that their heads are still `before`, and write texts, heads and events.

    All in one statement, which is a transaction of its own.

    Raises:
        HeadMovedError: nothing was written, because a head had moved or a client_id is a repeat.
    """
    try:
        await connection.execute(
            INSERT_TEXTS_EXPECTING,
            [r.channel_id for r in records],
            before,
            [r.seq for r in records],
            [r.created_at for r in records],
            [r.hash for r in records],
            [r.id for r in records],
            [r.sender_id for r in records],
            [r.sender_username for r in records],
            [r.sender_display_name for r in records],
            [r.client_id for r in records],
            [r.content for r in records],
            [r.salt for r in records],
            [r.commitment for r in records],
            *rows,
        )
    except (asyncpg.RaiseError, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
        raise HeadMovedError from None


def _head_columns(heads: Sequence[Head]) -> tuple[list[Any], ...]:
    return (
        [h.channel_id for h in heads],
        [h.last_seq for h in heads],
        [h.head_hash for h in heads],
        [h.last_record_at for h in heads],
        [h.last_message_at for h in heads],
        [h.membership_seq for h in heads],
    )


def _record_columns(records: Sequence[Record]) -> tuple[list[Any], ...]:
    return (
        [r.channel_id for r in records],
        [r.seq for r in records],
        [r.id for r in records],
        [r.kind for r in records],
        [r.sender_id for r in records],
        [r.sender_username for r in records],
        [r.sender_display_name for r in records],
        [r.client_id for r in records],
        [r.target_id for r in records],
        [r.content for r in records],
        [r.salt for r in records],
        [r.commitment for r in records],
        [_json(r.details) for r in records],
        [r.created_at for r in records],
        [r.hash for r in records],
    )


def _payload(draft: Draft) -> CommittedPayload:
    return CommittedPayload(draft.content, draft.sender_display_name, draft.sender_username)


def _json(details: object) -> str | None:
    return None if details is None else msgspec.json.encode(details).decode()
