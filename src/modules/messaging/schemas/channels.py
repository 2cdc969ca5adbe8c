"""Channels, as people see them."""

from typing import Literal
from uuid import UUID

import msgspec

from kernel.clock import Timestamp


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
