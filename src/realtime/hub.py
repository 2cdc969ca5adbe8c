"""The hub: which sockets of this process listen to which topics.

Overview: topics are strings (`channel:{id}`, `user:{id}`). A frame is encoded once and handed to every listener in one
loop, with no task and no await; at the end of the turn each socket gets its frames in one write (see `flusher`).

Concurrency: single-threaded, on the event loop; nothing here awaits. A socket that closes while a frame is going
round is only marked, and leaves when its session ends.

Guarantees: frames of one topic reach each of its listeners in the order of publication.
"""

from collections.abc import Iterable

from kernel.telemetry.metrics import FRAMES_SENT
from realtime.connection import Connection
from realtime.flusher import Flusher
from realtime.frame import Frame


def user_topic(user_id: str) -> str:
    """Return the topic of everything meant for one person: every socket of theirs listens to it."""
    return f"user:{user_id}"


class Hub:
    """Topics and their listeners."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Connection]] = {}
        self._connections: set[Connection] = set()
        self.flusher = Flusher()

    def register(self, connection: Connection) -> None:
        """Let a new connection hear what concerns its person."""
        self._connections.add(connection)
        self.subscribe(connection, user_topic(connection.user_id))

    def drop(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        for topic in list(connection.topics):
            self.unsubscribe(connection, topic)

    def subscribe(self, connection: Connection, topic: str) -> None:
        """Let a connection hear a topic."""
        self._listeners.setdefault(topic, set()).add(connection)
        connection.topics.add(topic)

    def unsubscribe(self, connection: Connection, topic: str) -> None:
        """Let it hear the topic no more, from this moment on."""
        connection.topics.discard(topic)
        listeners = self._listeners.get(topic)
        if listeners is not None:
            listeners.discard(connection)
            if not listeners:
                del self._listeners[topic]

    def publish(self, topic: str, seq: int, frame: Frame, *, exclude: object | None = None) -> None:
        """Send a durable frame to the topic's listeners on this process, but not to `exclude`."""
        listeners = self._listeners.get(topic)
        if listeners:
            for connection in listeners:
                if connection is not exclude:
                    connection.deliver(topic, seq, frame)
            FRAMES_SENT.inc(len(listeners))

    def connections_of(self, user_id: str) -> frozenset[Connection]:
        """Return a person's sockets on this process."""
        return frozenset(self._listeners.get(user_topic(user_id), ()))

    @property
    def connections(self) -> Iterable[Connection]:
        """Every socket of this process."""
        return frozenset(self._connections)
