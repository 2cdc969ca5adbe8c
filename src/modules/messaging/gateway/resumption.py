"""Catching up: what a client missed, in order, and then live, with nothing lost or doubled between the two.

Live frames of a channel are held back while its missed records are read and sent; then those past what was read are
let through. The log in PostgreSQL is the only history, so any instance can do this, however long ago it was.
"""

import asyncio
from collections.abc import Collection
from uuid import UUID

from msgspec import UNSET

from kernel.database import Database
from modules.messaging.gateway import client_frames as client
from modules.messaging.gateway import server_frames as server
from modules.messaging.gateway.broadcast import Broadcast, channel_topic
from modules.messaging.service.reading import Reading
from modules.messaging.store import epoch as history
from modules.messaging.store import members
from realtime.connection import Connection

PAGE = 64
"""Records that somebody who catches up and doesn't read keeps in memory: even of the largest, less than half a MiB."""
READERS = 4
"""Pages that are read at once: however many catch up, others find a connection to the database."""
WRITTEN_TOGETHER = 8
"""Records sent before waiting for the peer: even the largest fit a socket's queue beside what it waits for."""


class Epoch:
    """What names this history; a client with another one has to reload. Read once: a new history is a new process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._epoch = ""

    async def get(self) -> str:
        """Return the epoch."""
        if not self._epoch:
            async with self._database.connection() as connection:
                self._epoch = await history.epoch(connection)
        return self._epoch


class Resumption:
    """Sends what was missed: to who asks, and to who was let into a channel by another instance."""

    def __init__(self, database: Database, reading: Reading, broadcast: Broadcast) -> None:
        self._database = database
        self._reading = reading
        self._broadcast = broadcast
        self._turns = asyncio.Semaphore(READERS)
        self.epoch = Epoch(database)

    async def resume(self, connection: Connection, frame: client.Resume) -> None:
        """Send the missed frames of the channels that are the caller's, then `resumed`.

        A client from another epoch, or one that knows more than the log, is told to reset instead.
        """
        wanted = {channel.channel_id: channel.after_seq for channel in frame.channels}
        heads = await self._heads(connection.user_id, wanted)
        reset = frame.epoch != await self.epoch.get() or any(wanted[c] > head for c, head in heads.items())
        if not reset:
            for channel_id in [c for c, head in heads.items() if wanted[c] < head]:
                heads[channel_id] = await self.catch_up(connection, channel_id, wanted[channel_id])
        ends = [server.ResumedHead(c, head) for c, head in heads.items() if channel_topic(c) in connection.topics]
        connection.send(server.frame(server.Resumed(ref=frame.ref, channels=ends, reset=True if reset else UNSET)))

    async def catch_up(self, connection: Connection, channel_id: UUID, after: int) -> int:
        """Send a channel's records after `after` to a connection that listens to it, then let live ones through.

        Returns:
            Up to where the client is now. When it was removed meanwhile, it hears nothing more, nor what was held.
        """
        topic = channel_topic(channel_id)
        connection.hold(topic)
        try:
            while topic in connection.topics and not connection.closed:
                page = await self._page(connection, channel_id, after)
                if not page and not await self._heads(connection.user_id, [channel_id]):
                    self._broadcast.expel(connection, channel_id)
                after = page[-1] if page else after
                if len(page) < PAGE and self._broadcast.feeds.start(channel_id, after):
                    break
        finally:
            self._broadcast.release(connection, channel_id, after)
        return after

    async def _page(self, connection: Connection, channel_id: UUID, after: int) -> list[int]:
        """Send the next records at the pace of the peer: catching up, however much, is not lagging."""
        async with self._turns:
            page = await self._reading.records(channel_id, after=after, limit=PAGE, reader=connection.user_id)
        for index, (record, message) in enumerate(page):
            if index % WRITTEN_TOGETHER == 0:
                await connection.drain()
            connection.send(server.frame_of(record, message))
        return [record.seq for record, _ in page]

    async def _heads(self, user_id: str, channels: Collection[UUID]) -> dict[UUID, int]:
        async with self._database.connection() as connection:
            return await members.resumable(connection, user_id, channels)
