"""Sending sockets elsewhere: in batches spread over a given time, each after the answers that are due to it.

Where nobody is left there is nothing to wait for: whoever deploys, or tries something, has it back at once.

Concurrency: single-threaded, on the event loop. Who joins meanwhile is sent away with a later batch.

Guarantees: a socket that is leaving isn't heard any more; what it had sent before is settled and answered before it is
closed, unless that takes longer than `ANSWERS_WITHIN_S` after the drain's end.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from realtime import closing
from realtime.company import Company
from realtime.connection import Connection
from realtime.entrance import Entrance

STEPS = 20
ANSWERS_WITHIN_S = 3.0


class Draining:
    """Knows which sockets are leaving, and which are having a frame handled."""

    def __init__(self, company: Company, entrance: Entrance, settled: Callable[[], Awaitable[None]]) -> None:
        self._company = company
        self._entrance = entrance
        self._settled = settled
        self._leaving: set[Connection] = set()
        self._busy: set[Connection] = set()
        self._progress = asyncio.Event()

    @contextmanager
    def hearing(self, connection: Connection) -> Iterator[bool]:
        """Give whether the connection may still be heard; it isn't closed before the block ends."""
        self._busy.add(connection)
        try:
            yield connection not in self._leaving
        finally:
            self._busy.discard(connection)
            self._progress.set()

    async def run(self, *, within_s: float) -> None:
        """Ask every socket to reconnect, spread over `within_s` seconds, or until nobody is left."""
        ends = time.monotonic() + within_s
        async with asyncio.TaskGroup() as farewells:
            for left in range(STEPS, 0, -1):
                if self._entrance.deserted:
                    break
                batch = self._choose(left)
                farewells.create_task(self._send_away(batch, ends + ANSWERS_WITHIN_S))
                await asyncio.sleep(ends - time.monotonic() - within_s * (left - 1) / STEPS)

    def _choose(self, steps_left: int) -> list[Connection]:
        """Take an even share of those who are still to be told, at random."""
        staying = list(set(self._company.connections) - self._leaving)
        batch = random.sample(staying, -(-len(staying) // steps_left))
        self._leaving.update(batch)
        return batch

    async def _send_away(self, batch: list[Connection], deadline: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, deadline - time.monotonic())):
                await self._answered(batch)
        for connection in batch:
            connection.close(closing.RESTART, "restarting: reconnect with jitter")

    async def _answered(self, batch: list[Connection]) -> None:
        while not self._busy.isdisjoint(batch):
            self._progress.clear()
            await self._progress.wait()
        await self._settled()
