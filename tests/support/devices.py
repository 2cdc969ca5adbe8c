"""Sockets without a network, on hubs without a server: what presence is made of."""

from collections.abc import Sequence

from realtime.connection import Connection
from realtime.frame import Frame
from realtime.hub import Hub


class Line:
    """A socket in memory: what is written is kept."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.buffered_bytes = 0

    def write(self, frames: Sequence[Frame]) -> None:
        """Keep frames."""
        self.frames += frames

    def close(self, code: int, reason: str) -> None:
        """Nothing to close."""

    async def drain(self) -> None:
        """Everything is taken already."""

    async def finish(self) -> None:
        """Nothing to do."""


def device(hub: Hub, user_id: str) -> Connection:
    """Return a new socket of somebody."""
    connection = Connection(user_id, Line(), flusher=hub.flusher, queue_limit=1_000_000)
    hub.register(connection)
    return connection


def line_of(connection: Connection) -> Line:
    """Return the line of a `device`."""
    line = connection._socket
    assert isinstance(line, Line)
    return line
