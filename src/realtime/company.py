"""The sockets of one endpoint on this process.

The chat's are devices: the hub registers them, presence sees them. `Visitors` are those of an endpoint whose sockets
say nothing about whether somebody is there.
"""

from collections.abc import Collection, Iterable
from typing import Protocol

from realtime.connection import Connection
from realtime.hub import Hub


class Company(Protocol):
    """Who is at an endpoint."""

    @property
    def connections(self) -> Iterable[Connection]:
        """Every socket."""
        ...

    def connections_of(self, user_id: str) -> Collection[Connection]:
        """Return a person's sockets."""
        ...

    def register(self, connection: Connection) -> None:
        """Take a new socket in."""
        ...

    def drop(self, connection: Connection) -> None:
        """Forget a socket, and let it hear nothing more."""
        ...


class Visitors:
    """Sockets that are no devices: no presence, no attention, nothing of `user:{id}`. All of them hear `topic`."""

    def __init__(self, hub: Hub, topic: str) -> None:
        self._hub = hub
        self._topic = topic
        self._of: dict[str, set[Connection]] = {}

    @property
    def people(self) -> Collection[str]:
        """Everybody who has a socket here."""
        return self._of.keys()

    @property
    def connections(self) -> Iterable[Connection]:
        """See `Company`."""
        return self._hub.listeners(self._topic)

    def connections_of(self, user_id: str) -> Collection[Connection]:
        """See `Company`."""
        return frozenset(self._of.get(user_id, ()))

    def register(self, connection: Connection) -> None:
        """See `Company`."""
        self._of.setdefault(connection.user_id, set()).add(connection)
        self._hub.subscribe(connection, self._topic)

    def drop(self, connection: Connection) -> None:
        """See `Company`."""
        here = self._of[connection.user_id]
        here.discard(connection)
        if not here:
            del self._of[connection.user_id]
        for topic in list(connection.topics):
            self._hub.unsubscribe(connection, topic)
