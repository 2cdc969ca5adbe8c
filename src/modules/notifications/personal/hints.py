"""Hints: whose unread counts are to be looked at, as far as somebody is there to be told.

Overview: messaging's events name whose counts they change. What comes within `GATHER_S` goes out together: the people
who have a personal socket here are handed on, and the other instances are told, all recipients of one channel in one
message, however many messages were sent. An instance is told only while one asked: whoever has a personal socket says
so when the first one comes and every `BEAT_S`, and is believed for `ASKED_FOR_S`.

Concurrency: single-threaded, on the event loop; only who takes part in a channel, which a deletion doesn't say, is
asked of the database, by one task.

Guarantees:
- Where no instance has a personal socket nothing is gathered, nothing told and nothing asked.
- Who just started, or couldn't hear the others for a time, takes it that they ask.
- Hints may be lost. `on_doubt` is called when some of either side may have been, `on_first` when others didn't know
  yet that somebody is here now.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from uuid import UUID

import msgspec

from kernel.rechecks import Rechecks
from modules.messaging.events import ChannelRead, MessageCreated, MessageDeleted, ParticipantLeft
from modules.notifications.personal.ports import Counts, Pair
from modules.notifications.personal.post import TOPIC
from realtime.company import Visitors
from realtime.hub import Hub

GATHER_S = 0.05
BEAT_S = 5.0
ASKED_FOR_S = 16.0
KNOWN_WITHIN_S = 1.0
"""The others have heard by then that somebody is here."""
ASKING = "personal.asking"
"""Heard by every instance."""
ASKED = b"A"
"""Between instances: I have personal sockets."""
HINT = b"B"
"""Between instances: a channel, and whose counts of it may have changed."""

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[str]).decode
CHANNEL_BYTES = 16
ENOUGH = 2
"""So many senders' lists of recipients are everybody together: each list leaves out one, and not the same."""


class Concerned:
    """Whose counts of a channel may have changed."""

    __slots__ = ("lists", "one_by_one")

    def __init__(self) -> None:
        self.one_by_one: set[str] = set()
        self.lists: dict[str, Collection[str]] = {}
        """By sender, everybody else; the latest `ENOUGH`."""

    def all_but(self, sender_id: str, recipients: Collection[str]) -> None:
        """Add the recipients of a message; the cost doesn't depend on how many they are."""
        self.lists.pop(sender_id, None)
        self.lists[sender_id] = recipients
        if len(self.lists) > ENOUGH:
            del self.lists[next(iter(self.lists))]

    @property
    def user_ids(self) -> set[str]:
        """Everybody."""
        return self.one_by_one.union(*self.lists.values())


class Hints:
    """Hands on whose counts may have changed; `start` it once, and `stop` it."""

    def __init__(
        self,
        *,
        hub: Hub,
        visitors: Visitors,
        counts: Counts,
        on_changed: Callable[[Iterable[Pair]], None],
        on_doubt: Callable[[], None],
        on_first: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._people = visitors.people
        self._counts = counts
        self._on_changed = on_changed
        self._on_doubt = on_doubt
        self._on_first = on_first
        self._gathered: dict[UUID, Concerned] = {}
        self._asked: asyncio.TimerHandle | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._deletions: Rechecks[UUID] = Rechecks("badges of deletions", self._look_at_channels)
        hub.on(HINT, self._hinted)
        hub.on(ASKED, lambda *_: self._believe())
        hub.on_listened(self._came)
        hub.on_doubt(self._doubt)

    def start(self) -> None:
        """Begin to hear the others."""
        self._hub.backplane.subscribe(ASKING)
        self._deletions.start()
        self._believe()
        self._beat()

    async def stop(self) -> None:
        """End."""
        await self._deletions.stop()
        for timer in (*self._timers.values(), self._asked):
            if timer is not None:
                timer.cancel()
        self._timers.clear()

    def sent(self, event: MessageCreated) -> None:
        """Somebody sent a message: the others have one more to read."""
        if self._people or self._asked is not None:
            self._concerned(event.channel_id).all_but(event.sender_id, event.recipient_ids)

    def read(self, event: ChannelRead) -> None:
        """Somebody has read."""
        self._changed_for(event.channel_id, event.user_id)

    def left(self, event: ParticipantLeft) -> None:
        """Somebody left, and has nothing to read there any more."""
        self._changed_for(event.channel_id, event.user_id)

    def deleted(self, event: MessageDeleted) -> None:
        """A message was deleted: it isn't unread any more, for whomever it was."""
        if self._people or self._asked is not None:
            self._deletions.one(event.channel_id)

    def _changed_for(self, channel_id: UUID, user_id: str) -> None:
        if self._asked is not None or user_id in self._people:
            self._concerned(channel_id).one_by_one.add(user_id)

    async def _look_at_channels(self, channels: Collection[UUID] | None) -> None:
        for user_id, channel_id in await self._counts.members(channels or ()):
            self._concerned(channel_id).one_by_one.add(user_id)

    def _concerned(self, channel_id: UUID) -> Concerned:
        if not self._gathered:
            self._later("gather", GATHER_S, self._hand_on)
        concerned = self._gathered.get(channel_id)
        if concerned is None:
            concerned = self._gathered[channel_id] = Concerned()
        return concerned

    def _hand_on(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for channel_id, concerned in gathered.items():
            user_ids = concerned.user_ids
            self._changed_here(channel_id, user_ids)
            if self._asked is not None:
                self._hub.relay(TOPIC, HINT, channel_id.bytes, encode(list(user_ids)))

    def _hinted(self, _topic: str, payload: bytes) -> None:
        self._changed_here(UUID(bytes=payload[:CHANNEL_BYTES]), decode(payload[CHANNEL_BYTES:]))

    def _changed_here(self, channel_id: UUID, user_ids: Collection[str]) -> None:
        here = [user_id for user_id in user_ids if user_id in self._people]
        if here:
            self._on_changed((user_id, channel_id) for user_id in here)

    def _came(self, topic: str) -> None:
        """The first is here; what the others did before they knew is made up for."""
        if topic == TOPIC and not self._hub.alone:
            self._ask()
            self._later("known", KNOWN_WITHIN_S, self._on_first)

    def _doubt(self) -> None:
        self._believe()
        self._ask()
        self._on_doubt()

    def _ask(self) -> None:
        self._hub.relay(ASKING, ASKED)

    def _beat(self) -> None:
        if self._people:
            self._ask()
        self._later("beat", BEAT_S, self._beat)

    def _believe(self) -> None:
        """Another instance asks, or may."""
        if self._asked is not None:
            self._asked.cancel()
        if not self._hub.alone:
            self._asked = asyncio.get_running_loop().call_later(ASKED_FOR_S, self._unasked)

    def _unasked(self) -> None:
        self._asked = None

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        pending = self._timers.get(name)
        if pending is not None:
            pending.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, work)
