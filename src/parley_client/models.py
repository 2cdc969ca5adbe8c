"""What the server's frames and answers hold. Fields that a newer server adds are ignored."""

from datetime import datetime

import msgspec
from msgspec import field


class Sender(msgspec.Struct, frozen=True):
    """Who wrote, under the names of that time."""

    user_id: str
    username: str = ""
    display_name: str = ""


class Reaction(msgspec.Struct, frozen=True):
    """Who reacted with an emoji."""

    emoji: str
    user_ids: list[str]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message with what happened to it folded in. `status` is there only on one's own."""

    id: str
    channel_id: str
    seq: int
    sender: Sender
    content: str
    client_id: str
    created_at: datetime
    kind: str = "text"
    content_type: str = "text/plain"
    revision: int = 0
    edited_at: datetime | None = None
    is_deleted: bool = False
    deleted_at: datetime | None = None
    reactions: list[Reaction] = field(default_factory=list)
    status: str | None = None


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, as one of its participants sees it."""

    id: str
    kind: str
    status: str
    last_seq: int
    context_type: str | None = None
    context_id: str | None = None
    title: str | None = None
    last_message_at: datetime | None = None
    participant_count: int = 0
    unread_count: int = 0
    last_read_seq: int = 0
    muted_until: datetime | None = None


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field; `pointer` says which."""

    pointer: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was refused (RFC 9457)."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    request_id: str | None = None
    errors: list[FieldError] = field(default_factory=list)
