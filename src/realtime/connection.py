"""One authenticated socket: what it hears, what is held back for it, and how much it may lag."""

import time
from collections.abc import Callable
from uuid import UUID

from kernel.ids import new_id
from kernel.telemetry.metrics import SOCKET_CLOSES
from realtime.flusher import Flusher
from realtime.frame import Frame
from realtime.socket import Socket

TOO_SLOW = 4008
TOO_SLOW_REASON = "too slow: reconnect and resume"
MAX_HELD = 5_000
"""Frames of a topic that may wait while the records before them are read."""

ALWAYS = 2**63
"""A place after every record: what is held under it is never left out."""


class Held:
    """The frames of a topic that wait, how many want them to, and up to where one of those told the peer by itself."""

    __slots__ = ("after", "frames", "holders")

    def __init__(self) -> None:
        self.frames: list[tuple[int, Frame]] = []
        self.holders = self.after = 0


class Connection:
    """A person's socket.

    Durable frames reach it in the order given or the socket is closed with 4008: none is dropped silently. Ephemeral
    frames are dropped when the peer lags.
    """

    __slots__ = (
        "_flusher",
        "_gathered",
        "_held",
        "_holds_all",
        "_limit",
        "_socket",
        "active_at",
        "closed",
        "id",
        "idle",
        "on_attention",
        "on_screen",
        "subscribed_at",
        "topics",
        "user_id",
    )

    def __init__(self, user_id: str, socket: Socket, *, flusher: Flusher, queue_limit: int) -> None:
        self.id: UUID = new_id()
        self.user_id = user_id
        self.topics: set[str] = set()
        self.subscribed_at = self.active_at = time.monotonic()
        self.idle = False
        self.on_screen: UUID | None = None
        self.on_attention: Callable[[Connection], None] = _nobody_asks
        self.closed = False
        self._socket = socket
        self._flusher = flusher
        self._gathered: list[Frame] = []
        self._limit = queue_limit
        self._held: dict[str, Held] | None = None
        self._holds_all = False

    def send(self, frame: Frame) -> None:
        """Write a frame at the end of this turn of the event loop, joined with the others of the turn."""
        if self.closed:
            return
        if not self._gathered:
            self._flusher.soon(self)
        self._gathered.append(frame)

    def flush(self) -> None:
        """Write what was gathered, or close a socket that lags too far behind to take it."""
        if self._gathered and not self.closed:
            frames, self._gathered = self._gathered, []
            if self._socket.buffered_bytes > self._limit:
                self.close(TOO_SLOW, TOO_SLOW_REASON)
            else:
                self._socket.write(frames)

    @property
    def has_room(self) -> bool:
        """Whether a frame that may be lost would be sent now."""
        return not self._holds_all and self._socket.buffered_bytes <= self._limit // 2

    def send_ephemeral(self, frame: Frame) -> None:
        """Write a frame that may be lost: it is while joining, and when the peer lags by half of what it may."""
        if not self._holds_all and self._socket.buffered_bytes <= self._limit // 2:
            self.send(frame)

    def deliver(self, topic: str, seq: int, frame: Frame) -> None:
        """Write a durable frame of a topic, or hold it while what precedes it is being read."""
        if self._held is None:
            self.send(frame)
        elif self._holds_all or topic in self._held:
            self._hold_back(self._held.setdefault(topic, Held()), seq, frame)
        else:
            self.send(frame)

    @property
    def joining(self) -> bool:
        """Whether it isn't known yet what the peer has: the frames of every topic are held back."""
        return self._holds_all

    def hold_all(self) -> None:
        """Keep back the durable frames of every topic from now on."""
        self._held, self._holds_all = {}, True

    def release_all(self) -> None:
        """Let everything through but the topics that are held by themselves."""
        self._holds_all = False
        for topic, held in list((self._held or {}).items()):
            self._let_through(topic, held)

    def hold(self, topic: str) -> None:
        """Keep back the durable frames of one topic from now on, until everybody who asked for that has released it."""
        if self._held is None:
            self._held = {}
        self._held.setdefault(topic, Held()).holders += 1

    def release(self, topic: str, after_seq: int) -> None:
        """Let the held frames of a topic through, but for those up to `after_seq`, which the peer has by now."""
        held = (self._held or {}).get(topic)
        if held is not None:
            held.holders -= 1
            held.after = max(held.after, after_seq)
            self._let_through(topic, held)

    def forget(self, topic: str) -> None:
        """Drop what is held of a topic, but for answers: it wasn't meant for this person."""
        if self._held is not None and topic in self._held:
            frames = self._held[topic].frames
            frames[:] = [(seq, frame) for seq, frame in frames if seq == ALWAYS]

    def _hold_back(self, held: Held, seq: int, frame: Frame) -> None:
        held.frames.append((seq, frame))
        if len(held.frames) > MAX_HELD:
            self.close(TOO_SLOW, TOO_SLOW_REASON)

    def _let_through(self, topic: str, held: Held) -> None:
        if self._held is None or self._holds_all or held.holders:
            return
        del self._held[topic]
        if not self._held:
            self._held = None
        for seq, frame in held.frames:
            if seq > held.after:
                self.send(frame)

    async def drain(self) -> None:
        """Write what was gathered, and wait for the peer to take it."""
        self.flush()
        await self._socket.drain()

    def touch(self) -> None:
        """Note that the person did something."""
        self.active_at = time.monotonic()
        if self.idle:
            self.idle = False
            self.on_attention(self)

    def show(self, channel_id: UUID | None) -> None:
        """Note what is on the screen."""
        self.touch()
        if channel_id != self.on_screen:
            self.on_screen = channel_id
            self.on_attention(self)

    def close(self, code: int, reason: str) -> None:
        """Close the socket, once, after what it was sent before."""
        if code != TOO_SLOW:
            self.flush()
        if not self.closed:
            self.closed = True
            SOCKET_CLOSES.labels(code).inc()
            self._socket.close(code, reason)


def _nobody_asks(_connection: Connection) -> None:
    """Nobody is interested in this one's attention."""
