"""The hub: which sockets of this process listen to which topics.

Overview: topics are strings (`channel:{id}`, `user:{id}`). A frame is encoded once and handed to every listener in one
loop, with no task and no await; at the end of the turn each socket gets its frames in one write (see `flusher`).
A topic with a listener here is subscribed to at the backplane. What comes from there begins with a byte that says what
kind of message it is; whoever relays messages of a kind also says who handles them.

Concurrency: single-threaded, on the event loop; nothing here awaits. A socket that closes while a frame is going
round is only marked, and leaves when its session ends.

Guarantees: frames of one topic reach each of its listeners in the order of publication.
"""

import time
from collections.abc import Callable, Iterable

from kernel.telemetry.metrics import FRAMES_SENT
from realtime.backplane import Backplane, MemoryBackplane
from realtime.connection import Connection
from realtime.flusher import Flusher
from realtime.frame import Frame

EPHEMERAL = b"E"
"""A frame for every listener, which may be lost."""

Handler = Callable[[str, bytes], None]
OnConnection = Callable[[Connection], None]


def user_topic(user_id: str) -> str:
    """Return the topic of everything meant for one person: every socket of theirs listens to it."""
    return f"user:{user_id}"


class Hub:
    """Topics and their listeners."""

    def __init__(self, backplane: Backplane | None = None) -> None:
        self.backplane = backplane or MemoryBackplane()
        self._alone = isinstance(self.backplane, MemoryBackplane)
        self.flusher = Flusher()
        self._listeners: dict[str, set[Connection]] = {}
        self._connections: set[Connection] = set()
        self._handlers: dict[bytes, Handler] = {EPHEMERAL: self._relayed}
        self._listened: list[Callable[[str], None]] = []
        self._idle: list[Callable[[str], None]] = []
        self._doubt: list[Callable[[], None]] = []
        self._came: list[OnConnection] = []
        self._went: list[OnConnection] = []
        self.backplane.listen(self._from_others, self._in_doubt)

    @property
    def alone(self) -> bool:
        """Whether there can be no other instance."""
        return self._alone

    def on(self, kind: bytes, handler: Handler) -> None:
        """Have messages of a kind (one byte), relayed by other instances, handled with topic and payload."""
        self._handlers[kind] = handler

    def on_listened(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with each topic that gets its first listener here."""
        self._listened.append(handler)

    def on_idle(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with each topic whose last listener here is gone."""
        self._idle.append(handler)

    def on_doubt(self, handler: Callable[[], None]) -> None:
        """Call `handler` when what other instances relayed may have been lost."""
        self._doubt.append(handler)

    def on_connection(self, came: OnConnection, went: OnConnection) -> None:
        """Call `came` with each new connection, and `went` when it is gone."""
        self._came.append(came)
        self._went.append(went)

    def register(self, connection: Connection) -> None:
        """Let a new connection hear what concerns its person."""
        self._connections.add(connection)
        self.subscribe(connection, user_topic(connection.user_id))
        for came in self._came:
            came(connection)

    def drop(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.remove(connection)
        for topic in list(connection.topics):
            self.unsubscribe(connection, topic)
        for went in self._went:
            went(connection)

    def subscribe(self, connection: Connection, topic: str) -> None:
        """Let a connection hear a topic."""
        listeners = self._listeners.get(topic)
        if listeners is None:
            listeners = self._listeners[topic] = set()
            self.backplane.subscribe(topic)
            for handler in self._listened:
                handler(topic)
        listeners.add(connection)
        connection.topics.add(topic)
        connection.subscribed_at = time.monotonic()

    def unsubscribe(self, connection: Connection, topic: str) -> None:
        """Let it hear the topic no more, from this moment on."""
        connection.topics.discard(topic)
        listeners = self._listeners.get(topic)
        if listeners is not None:
            listeners.discard(connection)
            if not listeners:
                del self._listeners[topic]
                self.backplane.unsubscribe(topic)
                for handler in self._idle:
                    handler(topic)

    def publish(self, topic: str, seq: int, frame: Frame, *, exclude: object | None = None) -> None:
        """Send a durable frame to the topic's listeners on this process, but not to `exclude`."""
        listeners = self._listeners.get(topic)
        if listeners:
            for connection in listeners:
                if connection is not exclude:
                    connection.deliver(topic, seq, frame)
            FRAMES_SENT.inc(len(listeners))

    def broadcast(self, topic: str, frame: Frame, *, exclude: object | None = None) -> None:
        """Send a frame that may be lost to the topic's listeners on every instance, but not to `exclude`."""
        self._send_ephemeral(topic, frame, exclude)
        self.relay(topic, EPHEMERAL, frame.payload)

    def broadcast_here(self, topic: str, frame: Frame) -> None:
        """Send a frame that may be lost to the topic's listeners on this process."""
        self._send_ephemeral(topic, frame, None)

    def relay(self, topic: str, kind: bytes, *parts: bytes) -> None:
        """Hand a message to the handlers of its kind on other instances that listen to the topic; it may be lost."""
        if not self._alone:
            self.backplane.publish(topic, b"".join((kind, *parts)))

    def listeners(self, topic: str) -> frozenset[Connection]:
        """Return who listens to a topic on this process."""
        return frozenset(self._listeners.get(topic, ()))

    def connections_of(self, user_id: str) -> frozenset[Connection]:
        """Return a person's sockets on this process."""
        return self.listeners(user_topic(user_id))

    @property
    def connections(self) -> Iterable[Connection]:
        """Every socket of this process."""
        return frozenset(self._connections)

    def _from_others(self, topic: str, message: bytes) -> None:
        handler = self._handlers.get(message[:1])
        if handler is not None:  # a newer version may know more kinds
            handler(topic, message[1:])

    def _in_doubt(self) -> None:
        for handler in self._doubt:
            handler()

    def _relayed(self, topic: str, payload: bytes) -> None:
        self.broadcast_here(topic, Frame(payload))

    def _send_ephemeral(self, topic: str, frame: Frame, exclude: object | None) -> None:
        listeners = self._listeners.get(topic, ())
        for connection in listeners:
            if connection is not exclude:
                connection.send_ephemeral(frame)
        FRAMES_SENT.inc(len(listeners))
