"""What goes in and out over HTTP and sockets."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kernel.clock import Timestamp
from kernel.text import NO_NUL, ClientId, HostId, Title, pattern
from modules.messaging.domain import CONTEXT_TYPES

METADATA_BYTES = 16 * 1024

CONTEXT_TYPE = pattern(rf"\A({'|'.join(CONTEXT_TYPES)})\Z", f"must be one of {', '.join(CONTEXT_TYPES)}")
ContextTypeName = Annotated[str, Meta(pattern=CONTEXT_TYPE, examples=["booking"])]
Content = Annotated[
    str, Meta(min_length=1, pattern=NO_NUL, description="At most PARLEY_MAX_MESSAGE_CHARS characters (5,000)")
]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Incoming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all input: unknown fields are refused."""


class ContextParticipant(Incoming, frozen=True):
    """Somebody's role in a context."""

    user_id: HostId
    role: Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]


class PutContext(Incoming, frozen=True):
    """The whole wanted state of a context."""

    participants: list[ContextParticipant]
    title: Title | None = None
    metadata: dict[str, Any] | None = None
    status: Literal["open", "closed"] = "open"


class PostMessage(Incoming, frozen=True):
    """A message to append."""

    client_id: ClientId
    content: Content


class PutMark(Incoming, frozen=True):
    """How far somebody has read, or been delivered to."""

    seq: Seq


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
    """A message with what happened to it folded in."""

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


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel."""

    id: UUID
    kind: Literal["context", "direct", "group"]
    context_type: str | None
    context_id: str | None
    title: str | None
    status: Literal["active", "archived"]
    last_seq: int
    last_message_at: Timestamp | None
    participant_count: int
    created_at: Timestamp


class ContextView(msgspec.Struct, frozen=True, kw_only=True):
    """A context, with its channel from the first message on."""

    context_type: str
    context_id: str
    title: str | None
    status: Literal["open", "closed"]
    metadata: dict[str, Any]
    participants: list[ContextParticipant]
    channel: ChannelView | None
    created_at: Timestamp
    updated_at: Timestamp


class Marks(msgspec.Struct, frozen=True):
    """Somebody's marks in a channel."""

    channel_id: UUID
    user_id: str
    last_delivered_seq: int
    last_read_seq: int


class Ticket(msgspec.Struct, frozen=True):
    """Lets one socket in, once."""

    ticket: str
    expires_at: Timestamp
