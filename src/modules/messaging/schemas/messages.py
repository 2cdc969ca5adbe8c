"""Messages and records, as they go in and out."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from kernel.clock import Timestamp
from kernel.incoming import Incoming
from kernel.text import ClientId
from modules.messaging.schemas.base import Content


class PostMessage(Incoming, frozen=True):
    """A message to append."""

    client_id: ClientId
    content: Content


class PatchMessage(Incoming, frozen=True):
    """Another content for a message."""

    client_id: ClientId
    content: Content


class Sender(msgspec.Struct, frozen=True):
    """Who wrote, under the names of that time."""

    user_id: str
    username: str
    display_name: str


class Reaction(msgspec.Struct, frozen=True):
    """Who reacted with an emoji."""

    emoji: str
    user_ids: list[str]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message with what happened to it folded in; the content of a deleted one is empty. `status`: of one's own."""

    id: UUID
    channel_id: UUID
    seq: int
    kind: str = "text"
    sender: Sender
    content: str
    content_type: Literal["text/plain"] = "text/plain"
    client_id: str
    created_at: Timestamp
    revision: int = 0
    edited_at: Timestamp | UnsetType = UNSET
    is_deleted: bool = False
    deleted_at: Timestamp | UnsetType = UNSET
    reactions: list[Reaction] = []
    status: Literal["sent", "delivered", "read"] | UnsetType = UNSET


class LogRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the log as it was appended."""

    channel_id: UUID
    seq: int
    id: UUID
    kind: str
    sender: Sender | None
    target_id: UUID | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    content_type: Literal["text/plain"] | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET
    created_at: Timestamp
    hash: str


class MessagePage(msgspec.Struct, frozen=True):
    """Messages in the order of their seqs."""

    items: list[Message]


class LogPage(msgspec.Struct, frozen=True):
    """Records in the order of their seqs, and where the log ends."""

    items: list[LogRecord]
    last_seq: int


class Version(msgspec.Struct, frozen=True):
    """What a message said from `created_at` on, by the record `seq`; revision 0 is the message itself."""

    revision: int
    seq: int
    content: str
    created_at: Timestamp


class VersionPage(msgspec.Struct, frozen=True):
    """Versions, oldest first."""

    items: list[Version]
    next: str | None
