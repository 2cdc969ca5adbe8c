"""All that a decision depends on, at one moment."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from modules.notifications.domain.addresses import Target
from modules.notifications.domain.ladder import Earlier
from modules.notifications.domain.preferences import Preferences
from modules.notifications.domain.reasons import NotNow
from modules.notifications.ports import Recipient, SpanState
from realtime.attention import Attention


class Standing(msgspec.Struct, frozen=True):
    """What is known of an address."""

    opted_out: bool = False
    invalid: bool = False


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A transport, for one person. `delay_s`: how long a message waits unread before it goes this way."""

    on: bool = True
    delay_s: float = 0
    standing: Standing = Standing()
    held_until: datetime | None = None
    held_by: NotNow = "on_hold"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about one span of messages, one person and the transport that is decided on."""

    now: datetime
    transport: str
    channel_id: UUID
    span: SpanState
    attention: Attention
    recipient: Recipient | None
    target: Target
    preferences: Preferences
    category: Literal["messages", "invites"] = "messages"
    ways: Mapping[str, Way]
    """Every transport of the ladder."""
    earlier: tuple[Earlier, ...] = ()
    """What has become of the messages on the better transports, the best first."""
    overtaken: bool = False
    """A later step has told of the newest message already."""
    default_zone: str | None = None
    recheck_s: float = 60
    """When to look again whether somebody still looks."""

    @property
    def way(self) -> Way:
        """The transport that is decided on."""
        return self.ways[self.transport]
