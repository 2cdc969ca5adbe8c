"""What notifications needs from others. Wired by `app`; nothing here is imported from them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from realtime.attention import Attention


class Recipient(Protocol):
    """A person who may be sent something."""

    @property
    def user_id(self) -> str:
        """The host's id."""
        ...

    @property
    def phone(self) -> str | None:
        """E.164, or None."""
        ...

    @property
    def email(self) -> str | None:
        """Address, or None."""
        ...

    @property
    def display_name(self) -> str:
        """What others call them."""
        ...

    @property
    def locale(self) -> str | None:
        """BCP 47, or None when nobody ever said."""
        ...

    @property
    def time_zone(self) -> str | None:
        """IANA name, or None when nobody ever said."""
        ...

    @property
    def active(self) -> bool:
        """False once deactivated."""
        ...


class Recipients(Protocol):
    """Addresses of people (identity)."""

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Recipient]:
        """Return those who exist; unknown ids are absent."""
        ...


class Span(msgspec.Struct, frozen=True):
    """Messages `from_seq`..`to_seq` of a channel, as far as they concern one recipient.

    It may reach back to before they joined: what they may not see, and what they sent, doesn't concern them.
    """

    user_id: str
    channel_id: UUID
    from_seq: int
    to_seq: int


class SpanState(Protocol):
    """What has become of a span by now."""

    @property
    def is_participant(self) -> bool:
        """False once they left."""
        ...

    @property
    def muted_until(self) -> datetime | None:
        """Until when they want to hear nothing of the channel."""
        ...

    @property
    def unread_count(self) -> int:
        """Texts by others in the span, neither read nor deleted."""
        ...

    @property
    def unread_from_seq(self) -> int | None:
        """The first of the unread ones; None if there is none."""
        ...

    @property
    def unread_since(self) -> datetime | None:
        """When that was sent."""
        ...

    @property
    def sender_names(self) -> tuple[str, ...]:
        """Display names of their senders, each once, newest last."""
        ...

    @property
    def deleted_count(self) -> int:
        """Texts by others in the span that were deleted before they were read."""
        ...


class Conversations(Protocol):
    """What recipients have yet to read (messaging)."""

    async def states(self, spans: Sequence[Span]) -> Sequence[SpanState]:
        """Return the state of each span, in the order asked."""
        ...


class Presence(Protocol):
    """Who is looking (realtime)."""

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """Return the attention of each person asked for."""
        ...
