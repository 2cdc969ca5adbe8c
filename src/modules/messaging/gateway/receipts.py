"""Receipts: everybody in a channel sees how far the others have come.

Overview: the first receipts of a channel go out at once; then the channel rests, and what moves meanwhile goes out
when the rest is over, of each person only the furthest. In a large channel a receipt is dear: those of a thousand
readers to a thousand sockets are a million frames. So only as many go out at a time as cost no more than a rest, the
others with the next ones, in the order in which they moved.

Guarantees: the last state of everybody is always sent. One channel's receipts cost no more than
`DELIVERIES_PER_S`, whatever its size, and no turn of the event loop sends many. Receipts may be lost as any ephemeral
frame; the marks are in the database, and are told again where that is noticed (see `retelling`).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from uuid import UUID

import msgspec

from modules.messaging.gateway import server_frames as server
from modules.messaging.gateway.broadcast import channel_topic
from modules.messaging.schemas.marks import Marks
from realtime.frame import Frame
from realtime.hub import Hub, user_topic

REST_S = 0.1
DELIVERIES_PER_S = 20_000


class Due(msgspec.Struct):
    """Marks to be told, to the listeners of every instance or only of this one."""

    marks: Marks
    everywhere: bool


class Rest:
    """A channel's rest, how many receipts one of its sendings may hold, and what is due after it."""

    __slots__ = ("due", "room", "seconds", "timer")

    def __init__(self, seconds: float, room: int, timer: asyncio.TimerHandle) -> None:
        self.seconds = seconds
        self.room = room
        self.timer = timer
        self.due: dict[str, Due] = {}


class Receipts:
    """Sends receipts to the sockets of every instance."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rests: dict[UUID, Rest] = {}

    def tell(self, moved: Sequence[Marks]) -> None:
        """Send these marks, or remember them until it is their turn in their channel."""
        self._tell(moved, everywhere=True)

    def tell_here(self, moved: Sequence[Marks]) -> None:
        """As `tell`, but to the sockets of this process only: the others know, or find out by themselves."""
        self._tell(moved, everywhere=False)

    def stop(self) -> None:
        """Send what was put off, and rest no more."""
        for channel_id, rest in list(self._rests.items()):
            rest.timer.cancel()
            self._broadcast(channel_id, list(rest.due.values()))
        self._rests.clear()

    def _tell(self, moved: Sequence[Marks], *, everywhere: bool) -> None:
        at_once: dict[UUID, dict[str, Due]] = {}
        for marks in moved:
            rest = self._rests.get(marks.channel_id)
            if rest is None:
                at_once.setdefault(marks.channel_id, {})[marks.user_id] = Due(marks, everywhere)
            else:
                self._put_off(rest, Due(marks, everywhere))
        for channel_id, due in at_once.items():
            self._send(channel_id, due)
            self._tell_own_devices(self._rests[channel_id].due.values())

    def _put_off(self, rest: Rest, due: Due) -> None:
        other = rest.due.get(due.marks.user_id)
        rest.due[due.marks.user_id] = due if other is None else _furthest(other, due)
        if rest.seconds > REST_S or len(rest.due) > rest.room:
            self._tell_own_devices([due])

    def _tell_own_devices(self, waiting: Iterable[Due]) -> None:
        """Where others wait long, one's own devices don't."""
        for due in waiting:
            if due.everywhere:
                self._hub.broadcast(user_topic(due.marks.user_id), _receipt(due.marks))

    def _send(self, channel_id: UUID, due: Mapping[str, Due]) -> None:
        """Send the first of these, as many as one rest pays for but one at least; the others wait."""
        listeners = len(self._hub.listeners(channel_topic(channel_id)))
        room = max(1, int(DELIVERIES_PER_S * REST_S) // max(1, listeners))
        now = list(islice(due.values(), room))
        self._broadcast(channel_id, now)
        seconds = max(REST_S, len(now) * listeners / DELIVERIES_PER_S)
        timer = asyncio.get_running_loop().call_later(seconds, self._rested, channel_id)
        rest = self._rests[channel_id] = Rest(seconds, room, timer)
        rest.due.update(islice(due.items(), room, None))

    def _rested(self, channel_id: UUID) -> None:
        rest = self._rests.pop(channel_id)
        if rest.due:
            self._send(channel_id, rest.due)

    def _broadcast(self, channel_id: UUID, due: Sequence[Due]) -> None:
        topic = channel_topic(channel_id)
        for one in due:
            send = self._hub.broadcast if one.everywhere else self._hub.broadcast_here
            send(topic, _receipt(one.marks))


def _furthest(one: Due, other: Due) -> Due:
    """Return both in one. What is told again may be read before, and told after, what has moved meanwhile."""
    a, b = one.marks, other.marks
    delivered, read = max(a.last_delivered_seq, b.last_delivered_seq), max(a.last_read_seq, b.last_read_seq)
    return Due(Marks(a.channel_id, a.user_id, delivered, read), one.everywhere or other.everywhere)


def _receipt(marks: Marks) -> Frame:
    return server.frame(
        server.Receipt(
            channel_id=marks.channel_id,
            user_id=marks.user_id,
            last_delivered_seq=marks.last_delivered_seq,
            last_read_seq=marks.last_read_seq,
        )
    )
