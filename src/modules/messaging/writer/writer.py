"""The messaging writer: group commit.

Overview: sends wait in a few lanes, each channel always in the same one. A lane takes what is there (at most
`BATCH`), writes it in one transaction and, after the commit, settles each send and announces each new record, in the
order of their seqs. There is no timer: while one batch is being written the next one gathers, so an idle server
answers at once and a busy one shares the cost of each commit among many. There are two lanes so that one prepares
its batch while PostgreSQL works for the other; a single hot channel keeps to one lane and its large batches.

Concurrency: one batch of each lane is under way at a time. Between lanes (which may meet at a channel while its
context is new) and between processes, the channels' rows, locked in the order of their ids, keep order.

Guarantees:
- Nothing is settled as stored before its commit.
- What is submitted to a channel one after the other is stored in that order, unless it is refused.
- In a channel seqs are 1..N without gap: a batch is committed only on top of the heads that it was decided on, which
  hold under the row locks, in the statement or transaction that inserts (see `paths`).
- The same (channel, sender, client_id) is stored once; another body under it is refused.
- A bad send fails alone. When PostgreSQL goes away the whole batch is told that it may try again: whether the commit
  happened is unknown then, and repeating a client_id settles it.
- The queues are bounded: past `MAX_WAITING` sends are refused with a retryable error at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from bus import Bus
from kernel.database import Database
from kernel.errors import UnavailableError
from modules.messaging.writer.channel import Memory
from modules.messaging.writer.lane import Lane
from modules.messaging.writer.paths import Paths
from modules.messaging.writer.send import Announcer, ContextKey, Send

LANES = 2
MAX_WAITING = 10_000


class Writer:
    """Appends messages to channels. `start` it once; `stop` finishes what is queued."""

    def __init__(self, database: Database, bus: Bus, announcer: Announcer) -> None:
        self._memory = Memory()
        paths = Paths(database, bus, announcer, self._memory)
        self._lanes = [Lane(paths, bus, announcer) for _ in range(LANES)]
        self._stopping = False

    def submit(self, send: Send) -> None:
        """Queue a send; its `settle` will be called.

        Raises:
            UnavailableError: too many are waiting, or the writer is stopping.
        """
        if self._stopping or sum(map(len, self._lanes)) >= MAX_WAITING:
            raise UnavailableError("Too many messages are waiting to be written")
        self._lane_for(send.target).submit(send)

    def _lane_for(self, target: UUID | ContextKey) -> Lane:
        """Return a channel's lane: where sends to it wait already, by whichever name, so that none overtakes them."""
        names = self._memory.names_of(target)
        busy = (lane for lane in self._lanes if any(name in lane for name in names))
        return next(busy, self._lanes[hash(names[0]) % LANES])

    @asynccontextmanager
    async def turn(self, channel_id: UUID) -> AsyncIterator[None]:
        """Have a channel to oneself in this process, for other records than messages.

        Between a commit and its announcement nobody else here commits to it, so announcements keep to the log's order.
        """
        async with self._lane_for(channel_id).turn:
            yield

    def start(self) -> None:
        """Begin to write."""
        for lane in self._lanes:
            lane.start()

    async def stop(self) -> None:
        """Write what is queued, for at most five seconds; what is left is told to try again."""
        self._stopping = True
        await asyncio.gather(*(lane.stop() for lane in self._lanes))
