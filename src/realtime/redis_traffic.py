"""What is to be told to Redis in the next turn: payloads, and which topics an instance wants to hear."""

from realtime import redis_framing
from realtime.redis_link import Command

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""What may wait for a connection that doesn't take it."""


class Waiting:
    """Payloads waiting for their turn. Those of one topic keep their order and leave in one PUBLISH."""

    def __init__(self) -> None:
        self._payloads: dict[str, list[bytes]] = {}
        self._bytes = 0
        self.count = 0

    def add(self, topic: str, payload: bytes) -> bool:
        """Keep a payload for the next turn; False if too much is waiting already."""
        if self._bytes + len(payload) > MAX_WAITING_BYTES:
            return False
        self._payloads.setdefault(topic, []).append(payload)
        self._bytes += len(payload)
        self.count += 1
        return True

    def take(self, prefix: str, instance: bytes) -> list[Command]:
        """Return the commands that publish everything, which then waits no more."""
        payloads = self._payloads
        self.clear()
        return [("PUBLISH", prefix + topic, redis_framing.join(instance, some)) for topic, some in payloads.items()]

    def clear(self) -> None:
        """Drop everything."""
        self._payloads, self._bytes, self.count = {}, 0, 0


class Subscriptions:
    """The topics wanted, what Redis has yet to be told of them, and how much of that it has yet to confirm."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self._changes: dict[str, bool] = {}
        self._unconfirmed = 0
        self._connected = False

    def connect(self) -> None:
        """Ask for everything: a new connection knows nothing."""
        self._connected = True
        self._changes = dict.fromkeys(self.topics, True)

    def disconnect(self) -> None:
        """Nobody is there to be asked: there is only what is wanted."""
        self._connected = False
        self._changes, self._unconfirmed = {}, 0

    def change(self, topic: str, *, wanted: bool) -> None:
        """Want a topic, or want it no more; the last wish of a turn counts."""
        (self.topics.add if wanted else self.topics.discard)(topic)
        if self._connected:
            self._changes[topic] = wanted

    def take(self, prefix: str) -> list[Command]:
        """Return the commands that make the changes."""
        commands: list[Command] = []
        for name, wanted in (("SUBSCRIBE", True), ("UNSUBSCRIBE", False)):
            topics = [prefix + topic for topic, wish in self._changes.items() if wish is wanted]
            if topics:
                commands.append((name, *topics))
        self._unconfirmed += len(self._changes)
        self._changes = {}
        return commands

    def confirm(self) -> None:
        """Redis has made one of the changes."""
        self._unconfirmed -= 1

    @property
    def settled(self) -> bool:
        """Whether Redis has made every change."""
        return not self._changes and not self._unconfirmed
