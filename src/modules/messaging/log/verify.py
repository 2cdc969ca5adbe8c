"""Recomputes a chain from its genesis."""

from collections.abc import Iterable

from kernel.clock import rfc3339
from modules.messaging.log.chain import CommittedPayload, HashedRecord, commitment, genesis_hash, next_hash
from modules.messaging.log.record import Record

NOTHING = CommittedPayload(None, None, None)


def first_bad_seq(genesis: str, records: Iterable[Record]) -> int | None:
    """Return the first seq whose place, hash or content isn't what it has to be; None when all is well."""
    previous, expected = genesis_hash(genesis), 1
    for record in records:
        in_place = record.seq == expected and record.hash == next_hash(previous, hashed(record))
        if not in_place or not opens(record):
            return expected
        previous, expected = record.hash, expected + 1
    return None


def opens(record: Record) -> bool:
    """Whether what a record says is what it was committed to; without a salt it has to say nothing."""
    payload = CommittedPayload(record.content, record.sender_display_name, record.sender_username)
    return payload == NOTHING if record.salt is None else record.commitment == commitment(payload, record.salt)


def hashed(record: Record) -> HashedRecord:
    """Return the part of a stored record that its hash covers."""
    return HashedRecord(
        channel_id=record.channel_id,
        client_id=record.client_id,
        commitment=None if record.commitment is None else record.commitment.hex(),
        created_at=rfc3339(record.created_at),
        details=record.details,
        id=record.id,
        kind=record.kind,
        sender_id=record.sender_id,
        seq=record.seq,
        target_id=record.target_id,
    )
