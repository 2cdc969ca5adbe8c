"""Catching up with a channel that one isn't in any more: nothing of it, nor of what was held meanwhile."""

from collections.abc import Sequence

from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.gateway.broadcast import Broadcast, channel_topic
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.service.reading import Reading
from realtime.connection import Connection
from realtime.frame import Frame
from realtime.hub import Hub
from tests.support.pens import make_context, pen


class Wire:
    """A socket that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.buffered_bytes = 0

    def write(self, frames: Sequence[Frame]) -> None:
        self.frames += frames

    def close(self, code: int, reason: str) -> None:
        """Nothing to close."""

    async def drain(self) -> None:
        """Nothing waits."""

    async def finish(self) -> None:
        """Nothing waits."""


async def test_who_was_removed_on_another_instance_is_told_nothing_that_came_meanwhile(database: Database) -> None:
    await make_context(database, "b1", {"ana": "worker", "ben": "worker"})
    async with pen(database) as ana:
        stored = await ana.stored("b1", "ana", "c1")
    channel = stored.record.channel_id
    async with database.connection() as c:
        await c.execute("UPDATE chat_participants SET left_seq = 1, left_at = now() WHERE user_id = 'ben'")
    reading = Reading(database, Directory(database))
    hub = Hub()
    broadcast = Broadcast(hub, reading)
    wire = Wire()
    ben = Connection("ben", wire, flusher=hub.flusher, queue_limit=1 << 20)
    hub.register(ben)
    hub.subscribe(ben, channel_topic(channel))
    ben.hold(channel_topic(channel))
    hub.publish(channel_topic(channel), 2, Frame(b"between us"))
    await Resumption(database, reading, broadcast).catch_up(ben, channel, 0)
    ben.release(channel_topic(channel), 0)
    ben.flush()
    assert wire.frames == []
    assert channel_topic(channel) not in ben.topics
