"""Receipts: everybody in a channel sees how far the others have come.

Overview: the first receipt of a channel goes out at once; then the channel rests, and what moves meanwhile goes out
together when the rest is over, of each person only the furthest. The rest is the longer, the more the last sending
cost: the receipts of a thousand readers to a thousand sockets are a million frames.

Guarantees: the last state of everybody is always sent. One channel's receipts cost no more than
`DELIVERIES_PER_S`, whatever its size. Receipts may be lost as any ephemeral frame; the marks are in the database.
"""

import asyncio
from collections.abc import Iterable, Sequence
from uuid import UUID

from modules.messaging.gateway import server_frames as server
from modules.messaging.gateway.broadcast import channel_topic
from modules.messaging.schemas.marks import Marks
from realtime.frame import Frame
from realtime.hub import Hub, user_topic

REST_S = 0.1
DELIVERIES_PER_S = 20_000


class Rest:
    """A channel's rest, and whose marks have moved since it began."""

    __slots__ = ("moved", "seconds", "timer")

    def __init__(self, seconds: float, timer: asyncio.TimerHandle) -> None:
        self.seconds = seconds
        self.timer = timer
        self.moved: dict[str, Marks] = {}


class Receipts:
    """Sends receipts to the sockets of every instance."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rests: dict[UUID, Rest] = {}

    def tell(self, moved: Sequence[Marks]) -> None:
        """Send these marks, or remember them until the rest of their channel is over."""
        at_once: dict[UUID, list[Marks]] = {}
        for marks in moved:
            rest = self._rests.get(marks.channel_id)
            if rest is None:
                at_once.setdefault(marks.channel_id, []).append(marks)
            else:
                self._put_off(rest, marks)
        for channel_id, some in at_once.items():
            self._send(channel_id, some)

    def stop(self) -> None:
        """Send what was put off, and rest no more."""
        for channel_id, rest in list(self._rests.items()):
            rest.timer.cancel()
            self._broadcast(channel_id, rest.moved.values())
        self._rests.clear()

    def _put_off(self, rest: Rest, marks: Marks) -> None:
        """Where that takes long, one's own devices don't wait."""
        rest.moved[marks.user_id] = marks
        if rest.seconds > REST_S:
            self._hub.broadcast(user_topic(marks.user_id), _receipt(marks))

    def _send(self, channel_id: UUID, moved: Sequence[Marks]) -> None:
        self._broadcast(channel_id, moved)
        cost = len(moved) * len(self._hub.listeners(channel_topic(channel_id)))
        seconds = max(REST_S, cost / DELIVERIES_PER_S)
        timer = asyncio.get_running_loop().call_later(seconds, self._rested, channel_id)
        self._rests[channel_id] = Rest(seconds, timer)

    def _rested(self, channel_id: UUID) -> None:
        rest = self._rests.pop(channel_id)
        if rest.moved:
            self._send(channel_id, list(rest.moved.values()))

    def _broadcast(self, channel_id: UUID, moved: Iterable[Marks]) -> None:
        topic = channel_topic(channel_id)
        for marks in moved:
            self._hub.broadcast(topic, _receipt(marks))


def _receipt(marks: Marks) -> Frame:
    return server.frame(
        server.Receipt(
            channel_id=marks.channel_id,
            user_id=marks.user_id,
            last_delivered_seq=marks.last_delivered_seq,
            last_read_seq=marks.last_read_seq,
        )
    )
