"""All that a decision depends on, at one moment."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from modules.notifications.domain.addresses import Target
from modules.notifications.domain.ladder import Earlier
from modules.notifications.domain.preferences import Preferences
from modules.notifications.domain.reasons import NotNow
from modules.notifications.ports import Category, InviteEnd, InviteNews, Recipient, SpanState
from realtime.attention import Attention

News: TypeAlias = Literal["messages"] | InviteNews
"""What there is to tell."""


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
    """The facts about one span of a thread, one person and the transport that is decided on."""

    now: datetime
    transport: str
    thread_id: UUID
    span: SpanState
    news: News = "messages"
    ended: InviteEnd | None = None
    """Why an invitation need not be told of any more."""
    attention: Attention
    recipient: Recipient | None
    target: Target
    preferences: Preferences
    ways: Mapping[str, Way]
    """Every transport of the ladder."""
    earlier: tuple[Earlier, ...] = ()
    """What has become of it on the better transports, the best first."""
    overtaken: bool = False
    """A later step has told of the newest already."""
    default_zone: str | None = None
    recheck_s: float = 60
    """When to look again whether somebody still looks."""
    away_after_s: float = 300
    """How long ago somebody who counts as active may have touched a device."""

    @property
    def category(self) -> Category:
        """What of a person's choices it comes under."""
        return "messages" if self.news == "messages" else "invites"

    @property
    def way(self) -> Way:
        """The transport that is decided on."""
        return self.ways[self.transport]
