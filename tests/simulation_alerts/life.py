"""What people do, and what was true at any moment: the other modules of the real thing, with a memory."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from modules.messaging.events import MessageCreated
from modules.notifications.domain.addresses import Subscription
from modules.notifications.domain.preferences import Preferences
from modules.notifications.ports import Span
from realtime.attention import Attention
from tests.modules.notifications.world import Person, SpanState, message

T = TypeVar("T")
AWAY = Attention()


class Track(Generic[T]):
    """A value over time."""

    def __init__(self, first: T) -> None:
        self.times: list[datetime] = []
        self.values: list[T] = [first]

    def set(self, at: datetime, value: T) -> None:
        """Let it be something else from now on."""
        self.times.append(at)
        self.values.append(value)

    @property
    def last(self) -> T:
        """What it is."""
        return self.values[-1]

    def at(self, moment: datetime) -> T:
        """Return what it was at a moment."""
        return self.values[bisect_right(self.times, moment)]


class Text(msgspec.Struct):
    """A message. `recipients`: who took part when it was sent."""

    seq: int
    sender: str
    at: datetime
    recipients: frozenset[str]
    deleted_at: datetime | None = None


class Life:
    """People, channels and everything that changes about them. Read marks only move forward."""

    def __init__(self, defaults: Preferences) -> None:
        self.people: dict[str, Person] = {}
        self.texts: dict[UUID, list[Text]] = {}
        self.member: dict[tuple[str, UUID], Track[bool]] = {}
        self.active: dict[str, Track[bool]] = {}
        self.preferences: dict[str, Track[Preferences]] = defaultdict(lambda: Track(defaults))
        self.attention_of: dict[str, Track[Attention]] = defaultdict(lambda: Track(AWAY))
        self.muted: dict[tuple[str, UUID], Track[datetime | None]] = defaultdict(lambda: Track(None))
        self.read: dict[tuple[str, UUID], Track[int]] = defaultdict(lambda: Track(0))
        self.subscribed: dict[str, Track[tuple[Subscription, ...]]] = defaultdict(lambda: Track(()))

    def come(self, person: Person, *subscriptions: Subscription) -> None:
        """Let somebody be there."""
        self.people[person.user_id] = person
        self.active[person.user_id] = Track(True)
        self.subscribed[person.user_id] = Track(subscriptions)

    def join(self, channel: UUID, *user_ids: str) -> None:
        """Found a channel."""
        self.texts[channel] = []
        self.member |= {(user_id, channel): Track(True) for user_id in user_ids}

    def members(self, channel: UUID) -> list[str]:
        """Who takes part."""
        return sorted(user for (user, where), track in self.member.items() if where == channel and track.last)

    def say(self, at: datetime, channel: UUID, sender: str) -> MessageCreated:
        """Append a message; return what is published of it."""
        others = sorted({*self.members(channel)} - {sender})
        texts = self.texts[channel]
        texts.append(Text(len(texts) + 1, sender, at, frozenset(others)))
        return message(channel, len(texts), sender, others, occurred_at=at)

    def reads(self, at: datetime, user_id: str, channel: UUID, seq: int) -> None:
        """Somebody reads up to there."""
        track = self.read[user_id, channel]
        track.set(at, max(track.last, seq))

    async def states(self, spans: Sequence[Span]) -> Sequence[SpanState]:
        """Conversations."""
        return [self._state(span) for span in spans]

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Recipients."""
        return {user_id: self.people[user_id] for user_id in user_ids if user_id in self.people}

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """Presence."""
        return {user_id: self.attention_of[user_id].last for user_id in user_ids}

    async def of(self, _: Any, user_ids: Collection[str]) -> Mapping[str, tuple[Subscription, ...]]:
        """Subscriptions."""
        return {user_id: self.subscribed[user_id].last for user_id in user_ids}

    async def remove(self, _: Any, ids: Collection[UUID]) -> None:
        """Subscriptions that are gone; the provider has taken note of when."""

    def _state(self, span: Span) -> SpanState:
        key = (span.user_id, span.channel_id)
        first = max(span.from_seq, self.read[key].last + 1)
        new = [text for text in self.texts[span.channel_id][first - 1 : span.to_seq] if span.user_id in text.recipients]
        left = [text for text in new if text.deleted_at is None]
        return SpanState(
            is_participant=key in self.member and self.member[key].last,
            muted_until=self.muted[key].last,
            unread_count=len(left),
            sender_names=tuple(dict.fromkeys(text.sender.title() for text in left)),
            deleted_count=len(new) - len(left),
            unread_from_seq=left[0].seq if left else None,
            unread_since=left[0].at if left else None,
        )
