"""One authenticated socket: what it hears, what is held back for it, and how much it may lag."""

import time
from uuid import UUID

from kernel.ids import new_id
from kernel.telemetry.metrics import SOCKET_CLOSES
from realtime.frame import Frame
from realtime.socket import Socket

TOO_SLOW = 4008


class Connection:
    """A person's socket.

    Durable frames reach it in the order given or the socket is closed with 4008: none is dropped silently. Ephemeral
    frames are dropped when the peer lags.
    """

    __slots__ = ("_held", "_limit", "_socket", "active_at", "closed", "id", "on_screen", "topics", "user_id")

    def __init__(self, user_id: str, socket: Socket, *, queue_limit: int) -> None:
        self.id: UUID = new_id()
        self.user_id = user_id
        self.topics: set[str] = set()
        self.active_at = time.monotonic()
        self.on_screen: UUID | None = None
        self.closed = False
        self._socket = socket
        self._limit = queue_limit
        self._held: dict[str, list[tuple[int, Frame]]] | None = None

    def send(self, frame: Frame) -> None:
        """Write a frame, or close a socket that lags too far behind to take it."""
        if self._socket.buffered_bytes > self._limit:
            self.close(TOO_SLOW, "too slow: reconnect and resume")
        elif not self.closed:
            self._socket.write(frame)

    def send_ephemeral(self, frame: Frame) -> None:
        """Write a frame that may be lost: it is when the peer lags by half of what it may."""
        if self._socket.buffered_bytes <= self._limit // 2 and not self.closed:
            self._socket.write(frame)

    def deliver(self, topic: str, seq: int, frame: Frame) -> None:
        """Write a durable frame of a topic, or hold it while what precedes it is being read."""
        held = self._held
        if held is not None and topic in held:
            held[topic].append((seq, frame))
            if len(held[topic]) > self._limit // 64:
                self.close(TOO_SLOW, "too slow: reconnect and resume")
        else:
            self.send(frame)

    def hold(self, *topics: str) -> None:
        """Keep back the frames of these topics from now on."""
        self._held = self._held or {}
        for topic in topics:
            self._held.setdefault(topic, [])

    def release(self, topic: str, after_seq: int) -> None:
        """Let the held frames of a topic through, without those up to `after_seq`, which the peer has by now."""
        if self._held is None:
            return
        frames = self._held.pop(topic, [])
        self._held = self._held or None
        for seq, frame in frames:
            if seq > after_seq:
                self.send(frame)

    async def drain(self) -> None:
        """Wait for the peer to take what was written."""
        await self._socket.drain()

    def touch(self) -> None:
        """Note that the person did something."""
        self.active_at = time.monotonic()

    def close(self, code: int, reason: str) -> None:
        """Close the socket, once."""
        if not self.closed:
            self.closed = True
            SOCKET_CLOSES.labels(code).inc()
            self._socket.close(code, reason)
