"""Keystrokes of this instance's sockets: what clients repeat at will becomes a few changes.

Overview: for each socket and channel it is known whether the person is writing there, since when that was told, and
when they last said so. One timer each.

Guarantees:
- That somebody writes is told at once, then at most every `REPEAT_S` while they go on; that they stopped is told at
  once, or `FORGOTTEN_S` after they last said that they write. Beginning again within `REPEAT_S` waits until then.
- A flood costs an assignment a frame. A socket is followed in `MAX_CHANNELS` channels at most.
"""

import asyncio
from collections.abc import Callable
from math import inf
from uuid import UUID

from realtime.connection import Connection

REPEAT_S = 3.0
FORGOTTEN_S = 5.0
MAX_CHANNELS = 10

Tell = Callable[[Connection, UUID, bool], None]


class Pen:
    """A socket's writing in one channel."""

    __slots__ = ("said_at", "timer", "told_at", "told_writing")

    def __init__(self) -> None:
        self.said_at: float | None = None
        self.told_at = -inf
        self.told_writing = False
        self.timer: asyncio.TimerHandle | None = None


class Keystrokes:
    """Calls `tell` with who writes where, or has stopped; `hears` says whether a socket still hears a channel."""

    def __init__(self, tell: Tell, hears: Callable[[Connection, UUID], bool]) -> None:
        self._tell = tell
        self._hears = hears
        self._pens: dict[UUID, dict[Connection, Pen]] = {}
        self._channels: dict[Connection, set[UUID]] = {}

    def struck(self, connection: Connection, channel_id: UUID) -> None:
        """Note that the person behind a socket writes."""
        pen = self._pen(connection, channel_id)
        if pen is None:
            return
        now = pen.said_at = asyncio.get_running_loop().time()
        if pen.timer is None or now >= pen.told_at + REPEAT_S:
            self._look(connection, channel_id, pen)

    def lifted(self, connection: Connection, channel_id: UUID) -> None:
        """Note that they stopped."""
        pen = self._pens.get(channel_id, {}).get(connection)
        if pen is not None:
            pen.said_at = None
            self._stop(connection, channel_id, pen)

    def lifted_by(self, channel_id: UUID, user_id: str) -> None:
        """Note that somebody stopped, on whichever socket."""
        for connection in [one for one in self._pens.get(channel_id, ()) if one.user_id == user_id]:
            self.lifted(connection, channel_id)

    def gone(self, connection: Connection) -> None:
        """Forget a socket."""
        for channel_id in list(self._channels.get(connection, ())):
            self.lifted(connection, channel_id)
            self._forget(connection, channel_id)

    def _pen(self, connection: Connection, channel_id: UUID) -> Pen | None:
        pen = self._pens.get(channel_id, {}).get(connection)
        if pen is None:
            channels = self._channels.setdefault(connection, set())
            if len(channels) >= MAX_CHANNELS:
                return None
            channels.add(channel_id)
            pen = self._pens.setdefault(channel_id, {})[connection] = Pen()
        return pen

    def _look(self, connection: Connection, channel_id: UUID, pen: Pen) -> None:
        """Tell what there is to tell, and look again when there may be more."""
        now = asyncio.get_running_loop().time()
        if pen.said_at is not None and (now >= pen.said_at + FORGOTTEN_S or not self._hears(connection, channel_id)):
            self.lifted(connection, channel_id)
        may_tell = now >= pen.told_at + REPEAT_S
        if pen.said_at is None and may_tell:
            self._forget(connection, channel_id)
            return
        if pen.said_at is not None and may_tell and pen.said_at > pen.told_at:
            pen.told_writing, pen.told_at = True, now
            self._tell(connection, channel_id, True)
        self._look_later(connection, channel_id, pen, now)

    def _look_later(self, connection: Connection, channel_id: UUID, pen: Pen, now: float) -> None:
        """Look when they may be told to go on, and after that when they will have stopped."""
        at = pen.told_at + REPEAT_S
        if now >= at and pen.said_at is not None:
            at = pen.said_at + FORGOTTEN_S
        if pen.timer is not None:
            pen.timer.cancel()
        pen.timer = asyncio.get_running_loop().call_at(at, self._look, connection, channel_id, pen)

    def _stop(self, connection: Connection, channel_id: UUID, pen: Pen) -> None:
        if pen.told_writing:
            pen.told_writing = False
            self._tell(connection, channel_id, False)

    def _forget(self, connection: Connection, channel_id: UUID) -> None:
        pens, channels = self._pens[channel_id], self._channels[connection]
        timer = pens.pop(connection).timer
        if timer is not None:
            timer.cancel()
        if not pens:
            del self._pens[channel_id]
        channels.discard(channel_id)
        if not channels:
            del self._channels[connection]
