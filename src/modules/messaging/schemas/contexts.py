"""Contexts, as hosts say and see them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kernel.clock import Timestamp
from kernel.incoming import Incoming
from kernel.text import NO_NUL, HostId, Title
from modules.messaging.schemas.channels import ChannelView

METADATA_BYTES = 16 * 1024


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
