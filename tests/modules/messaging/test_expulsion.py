"""Catching up with a channel that one isn't in any more: nothing of it, nor of what was held meanwhile."""

from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.gateway.broadcast import Broadcast, channel_topic
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.service.reading import Reading
from realtime.frame import Frame
from realtime.hub import Hub
from tests.support.devices import device, line_of
from tests.support.pens import make_context, pen


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
    ben = device(hub, "ben")
    hub.subscribe(ben, channel_topic(channel))
    ben.hold(channel_topic(channel))
    hub.publish(channel_topic(channel), 2, Frame(b"between us"))
    await Resumption(database, reading, broadcast).catch_up(ben, channel, 0)
    ben.release(channel_topic(channel), 0)
    ben.flush()
    assert line_of(ben).frames == []
    assert channel_topic(channel) not in ben.topics
