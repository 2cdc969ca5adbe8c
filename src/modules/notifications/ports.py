"""What notifications needs from others. Wired by `app`; nothing here is imported from them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

import msgspec

from realtime.attention import Attention

Category: TypeAlias = Literal["messages", "invites"]
"""What people may want to be told of."""

InviteNews: TypeAlias = Literal["received", "reminder", "accepted"]
"""What can be told of an invitation: the first two to its invitee, the last to its invitor."""

InviteEnd: TypeAlias = Literal["answered", "withdrawn"]
"""Why an invitation waits no longer: accepted or declined; or revoked, expired, or overdue."""


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
    """What one recipient may be told of one thread: `from_seq`..`to_seq` of it.

    A thread of `messages` is a channel, with the seqs of its log. It may reach back to before they joined: what they
    may not see, and what they sent, doesn't concern them. A thread of `invites` is an invitation: to its invitee 1 is
    the invitation itself, and 1 + n its nth reminder; to its invitor 1 is that it was accepted.
    """

    user_id: str
    thread_id: UUID
    from_seq: int
    to_seq: int
    category: Category = "messages"

    @property
    def channel_id(self) -> UUID:
        """The channel whose messages these are."""
        return self.thread_id

    @property
    def invite_id(self) -> UUID:
        """The invitation that this is about."""
        return self.thread_id


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


class InviteState(Protocol):
    """What has become of an invitation by now, for one of its two people."""

    @property
    def news(self) -> InviteNews:
        """What there is to tell them."""
        ...

    @property
    def ended(self) -> InviteEnd | None:
        """Why it needs no telling any more; None while it does."""
        ...

    @property
    def since(self) -> datetime | None:
        """When it happened; None of an invitation that there isn't."""
        ...

    @property
    def other_name(self) -> str:
        """Display name of the other of the two."""
        ...


class Invitations(Protocol):
    """What has become of invitations (contacts)."""

    async def invite_states(self, spans: Sequence[Span]) -> Sequence[InviteState]:
        """Return the state of the invitation that each span is about, in the order asked."""
        ...


class Presence(Protocol):
    """Who is looking (realtime)."""

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """Return the attention of each person asked for."""
        ...
