"""Badges on their way to sockets: who lags behind is told the newest of each channel when there is room again.

Guarantees: the last badge that a socket is told is the newest one, and so is the last of each channel. What waits for
a socket is bounded by `MAX_WAITING` channels; one that lags with more is closed with 4008.
"""

import asyncio
from uuid import UUID

from realtime.connection import TOO_SLOW, TOO_SLOW_REASON, Connection
from realtime.frame import Frame

RETRY_S = 0.1
MAX_WAITING = 500


class Latest:
    """Knows what waits for whom."""

    def __init__(self) -> None:
        self._waiting: dict[Connection, dict[UUID, Frame]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, connection: Connection, channel_id: UUID, badge: Frame) -> None:
        """Send a badge, or keep it in the place of an older one of its channel, behind all others."""
        waiting = self._waiting.get(connection)
        if waiting is None and connection.has_room:
            connection.send(badge)
            return
        if waiting is None:
            waiting = self._waiting[connection] = {}
        waiting.pop(channel_id, None)
        waiting[channel_id] = badge
        if len(waiting) > MAX_WAITING:
            connection.close(TOO_SLOW, TOO_SLOW_REASON)
        self._try_later()

    def _try_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._try)

    def _try(self) -> None:
        self._timer = None
        for connection, waiting in list(self._waiting.items()):
            if connection.has_room:
                for badge in waiting.values():
                    connection.send(badge)
            if connection.has_room or connection.closed:
                del self._waiting[connection]
        if self._waiting:
            self._try_later()

    def stop(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
