"""Catching up with a channel that one isn't in any more: nothing of it, nor of what was held meanwhile."""

import time
from uuid import uuid4

from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.gateway.broadcast import Broadcast, channel_topic
from modules.messaging.gateway.reconciler import Reconciler
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.service.reading import Reading
from modules.messaging.store.members import Members
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


async def test_who_came_back_since_the_members_were_read_stays(database: Database) -> None:
    """What was read may be older than they are: it is looked at again, and only then counts."""
    reading = Reading(database, Directory(database))
    hub = Hub()
    broadcast = Broadcast(hub, reading)
    resumption = Resumption(database, reading, broadcast)
    reconciler = Reconciler(database=database, hub=hub, broadcast=broadcast, resumption=resumption, poll=False)
    channel, ben = uuid4(), device(hub, "ben")
    without_ben = Members(last_seq=1, joined={})
    read_at = time.monotonic()
    broadcast.join(ben, channel, 3)
    reconciler._reconcile_one(channel, without_ben, read_at)
    assert channel_topic(channel) in ben.topics
    reconciler._reconcile_one(channel, without_ben, time.monotonic())
    assert channel_topic(channel) not in ben.topics
