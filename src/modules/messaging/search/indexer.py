"""Keeps the search index beside the path of messages, and after it.

Overview: committed messages wake the indexer of their process, which reads the log from where the index ends and
writes what texts can be found by. Where a channel's index ends is a row of its own, locked meanwhile.

Concurrency: instances share the work. A channel that another one has locked is looked at again a moment later, since
the other may not have seen what was committed here.

Guarantees:
- The index is what the log makes of it up to the recorded seq: entries and that seq commit together, so being killed
  loses nothing and leaves no hole.
- Whatever was missed, by a process that was killed, is found at the next start and every `SWEEP_S`.
- Messages don't wait for it: it holds one connection at most, computes in short slices, and rests `REST` times as long
  as it computed.
"""

import asyncio
from collections.abc import Collection, Sequence
from uuid import UUID

import structlog

from kernel.database import Database
from kernel.errors import UnavailableError
from modules.messaging.events import MessageCreated, MessageDeleted, MessageRevised
from modules.messaging.search import store
from modules.messaging.search.indexing import index

log = structlog.get_logger(__name__)

LINGER_S = 0.2
SWEEP_S = 300.0
SWEPT = 10_000
RETRY_S = 1.0
CHANNELS = 200
"""Looked at in one transaction."""
REST = 9


class Indexer:
    """`start` it once, `wake` it for channels that have something new, and `stop` it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[UUID, None] = {}
        self._awake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def wake(self, *channels: UUID) -> None:
        """Index these channels soon; returns at once."""
        self._waiting.update(dict.fromkeys(channels))
        if self._waiting:
            self._awake.set()

    def hear(self, event: MessageCreated | MessageRevised | MessageDeleted) -> None:
        """Index what has just happened."""
        self.wake(event.channel_id)

    def start(self) -> None:
        """Begin, with whatever was missed."""
        self._tasks = [asyncio.create_task(self._serve()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """End; what is left is found at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self) -> None:
        while True:
            await self._awake.wait()
            channels = list(self._waiting)[:CHANNELS]
            for channel_id in channels:
                del self._waiting[channel_id]
            await asyncio.sleep(await self._attend(channels))
            if not self._waiting:
                self._awake.clear()

    async def _attend(self, channels: Sequence[UUID]) -> float:
        """Index the next piece; returns how long to rest."""
        try:
            piece = await index(self._database, channels)
        except Exception as error:
            if not isinstance(error, UnavailableError):
                log.exception("indexing_failed")
            self.wake(*channels)
            return RETRY_S
        self.wake(*piece.left)
        return max(LINGER_S, REST * piece.computed_s)

    async def _sweep(self) -> None:
        while True:
            missed = await self._missed()
            self.wake(*missed)
            await asyncio.sleep(SWEEP_S if len(missed) < SWEPT else RETRY_S)

    async def _missed(self) -> Collection[UUID]:
        try:
            async with self._database.connection() as connection:
                return await store.lagging(connection, SWEPT)
        except UnavailableError:
            return []
