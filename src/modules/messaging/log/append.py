"""Extends logs. Callers hold the row locks of all channels concerned, and that is what makes `seq` gap-free."""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from kernel.clock import rfc3339
from kernel.database import Connection
from kernel.ids import new_id
from modules.messaging.log.chain import SALT_BYTES, CommittedPayload, HashedRecord, commitment, next_hash
from modules.messaging.log.record import COLUMNS, Draft, Head, Record

INSERT = f"""
WITH appended AS (
    INSERT INTO chat_messages ({COLUMNS})
    SELECT channel_id, seq, id, kind, sender_id, sender_username, sender_display_name, client_id, target_id, content,
        salt, details::jsonb, created_at, hash
    FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::uuid[], $10::text[], $11::bytea[], $12::text[], $13::timestamptz[], $14::bytea[]) AS row ({COLUMNS})
)
UPDATE chat_channels AS c SET last_seq = h.last_seq, head_hash = h.head_hash, last_record_at = h.last_record_at,
    last_message_at = h.last_message_at, membership_seq = h.membership_seq
FROM unnest($15::uuid[], $16::bigint[], $17::bytea[], $18::timestamptz[], $19::timestamptz[], $20::bigint[])
    AS h (id, last_seq, head_hash, last_record_at, last_message_at, membership_seq)
WHERE c.id = h.id
"""


def extend(head: Head, draft: Draft, now: datetime) -> Record:
    """Give `draft` the next place in the log and move `head` there. Time never runs backwards in a channel."""
    at = max(now, head.last_record_at)
    seq = head.last_seq + 1
    hidden = draft.content is not None or draft.sender_id is not None
    salt = os.urandom(SALT_BYTES) if hidden else None
    hashed = HashedRecord(
        channel_id=head.channel_id,
        client_id=draft.client_id,
        commitment=commitment(_payload(draft), salt) if salt else None,
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
        draft.details,
        at,
        head.head_hash,
    )


async def insert(connection: Connection, records: Sequence[Record], heads: Iterable[Head]) -> None:
    """Write records and the heads that they led to, in one statement."""
    heads = list(heads)
    await connection.execute(
        INSERT,
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
        [_json(r.details) for r in records],
        [r.created_at for r in records],
        [r.hash for r in records],
        [h.channel_id for h in heads],
        [h.last_seq for h in heads],
        [h.head_hash for h in heads],
        [h.last_record_at for h in heads],
        [h.last_message_at for h in heads],
        [h.membership_seq for h in heads],
    )


def _payload(draft: Draft) -> CommittedPayload:
    return CommittedPayload(draft.content, draft.sender_display_name, draft.sender_username)


def _json(details: object) -> str | None:
    return None if details is None else msgspec.json.encode(details).decode()
