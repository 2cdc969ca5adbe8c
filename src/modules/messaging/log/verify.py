"""Recomputes a chain from its genesis."""

from collections.abc import Iterable

from kernel.clock import rfc3339
from modules.messaging.log.chain import CommittedPayload, HashedRecord, commitment, genesis_hash, next_hash
from modules.messaging.log.record import Record

NOTHING = CommittedPayload(None, None, None)


def first_bad_seq(genesis: str, records: Iterable[Record]) -> int | None:
    """Return the first seq whose place or hash isn't what the records before it demand; None when all is well."""
    previous, expected = genesis_hash(genesis), 1
    for record in records:
        if record.seq != expected or record.hash != next_hash(previous, hashed(record)):
            return expected
        previous, expected = record.hash, expected + 1
    return None


def hashed(record: Record) -> HashedRecord:
    """Return the part of a stored record that its hash covers. What stands there without a salt was put there later."""
    payload = CommittedPayload(record.content, record.sender_display_name, record.sender_username)
    hides = record.salt is not None or payload != NOTHING
    return HashedRecord(
        channel_id=record.channel_id,
        client_id=record.client_id,
        commitment=commitment(payload, record.salt or b"") if hides else None,
        created_at=rfc3339(record.created_at),
        details=record.details,
        id=record.id,
        kind=record.kind,
        sender_id=record.sender_id,
        seq=record.seq,
        target_id=record.target_id,
    )
