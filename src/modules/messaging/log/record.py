"""A record of the log, and the draft that it is made from."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from modules.messaging.domain import Kind


class Draft(msgspec.Struct, frozen=True):
    """What is to be appended; the log adds place, time and hash."""

    kind: Kind
    sender_id: str | None = None
    sender_username: str | None = None
    sender_display_name: str | None = None
    client_id: str | None = None
    target_id: UUID | None = None
    content: str | None = None
    details: dict[str, Any] | None = None


class Record(msgspec.Struct, frozen=True):
    """A row of `chat_messages`, the fields in the order of its columns."""

    channel_id: UUID
    seq: int
    id: UUID
    kind: Kind
    sender_id: str | None
    sender_username: str | None
    sender_display_name: str | None
    client_id: str | None
    target_id: UUID | None
    content: str | None
    salt: bytes | None
    commitment: bytes | None
    details: dict[str, Any] | None
    created_at: datetime
    hash: bytes


COLUMNS = ", ".join(Record.__struct_fields__)


class Head(msgspec.Struct):
    """The end of a channel's log while the channel's row is locked; `log.append` moves it on."""

    channel_id: UUID
    last_seq: int
    head_hash: bytes
    last_record_at: datetime
    last_message_at: datetime | None
    membership_seq: int
