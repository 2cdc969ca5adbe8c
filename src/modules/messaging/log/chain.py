"""The hash chain: why nobody can change, drop or reorder a record without it showing.

`hash = SHA-256(previous hash ‖ canonical record)`; before the first record stands the hash of the channel's genesis,
which names its founding members. A hash doesn't cover text and sender's names but a commitment to them,
`SHA-256(salt ‖ canonical payload)`, stored beside them: when text and salt are erased the chain still verifies.

Canonical means JSON in UTF-8 with the keys in alphabetical order and no white space, as in RFC 8785 (the values are
strings, whole numbers and null only). The fields below are in that order, and every verifier depends on it.
"""

import hashlib
from typing import Any
from uuid import UUID

import msgspec

from modules.messaging.domain import Kind

SALT_BYTES = 16
_encode = msgspec.json.Encoder(order="deterministic").encode


class CommittedPayload(msgspec.Struct, frozen=True):
    """What a commitment hides."""

    content: str | None
    sender_display_name: str | None
    sender_username: str | None


class HashedRecord(msgspec.Struct, frozen=True):
    """What a hash covers."""

    channel_id: UUID
    client_id: str | None
    commitment: str | None
    created_at: str
    details: dict[str, Any] | None
    id: UUID
    kind: Kind
    sender_id: str | None
    seq: int
    target_id: UUID | None


class Genesis(msgspec.Struct, frozen=True):
    """How a channel began."""

    channel_id: UUID
    context_id: str | None
    context_type: str | None
    created_at: str
    kind: str
    participants: dict[str, str]


def commitment(payload: CommittedPayload, salt: bytes) -> bytes:
    """Return the commitment to a payload; records are hashed with it in hexadecimal."""
    return hashlib.sha256(salt + _encode(payload)).digest()


def next_hash(previous: bytes, record: HashedRecord) -> bytes:
    """Return the hash of a record that follows the one with hash `previous`."""
    return hashlib.sha256(previous + _encode(record)).digest()


def canonical_genesis(genesis: Genesis) -> str:
    """Return the text that is kept with the channel for ever."""
    return _encode(genesis).decode()


def genesis_hash(canonical: str) -> bytes:
    """Return the hash that the first record follows."""
    return hashlib.sha256(canonical.encode()).digest()
