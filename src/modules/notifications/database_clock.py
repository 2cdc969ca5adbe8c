"""The database's clock, so that instances whose own clocks differ agree on leases, holds, turns and caps.

Asking it each time would cost a round trip. So the difference to our own clock is measured now and then, and added.
"""

from datetime import datetime, timedelta

import structlog

from kernel.clock import Clock, now
from kernel.database import Database
from kernel.worker import POLL_S, Worker

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
WORTH_TELLING = timedelta(seconds=5)
READ = "SELECT clock_timestamp()"


class DatabaseClock(Worker):
    """A clock that runs with the database's, to within a round trip; until it was read, our own."""

    def __init__(self, database: Database, local: Clock = now) -> None:
        super().__init__()
        self._database = database
        self._local = local
        self._ahead = timedelta()
        self._next_at: datetime | None = None

    def __call__(self) -> datetime:
        """Return the current moment, in UTC."""
        return self._local() + self._ahead

    async def round(self) -> float:
        """Compare, if it is time to."""
        if self._next_at is None or self._local() >= self._next_at:
            await self.compare()
        return POLL_S

    async def compare(self) -> None:
        """Measure how far the database's clock is ahead of ours, half a round trip into its answer."""
        async with self._database.connection() as connection:
            before = self._local()
            theirs: datetime = await connection.fetchval(READ)
            after = self._local()
        self._next_at = after + EVERY
        ahead = theirs - (before + (after - before) / 2)
        if abs(ahead - self._ahead) > WORTH_TELLING:
            log.warning("clock_differs_from_database", seconds=round(ahead.total_seconds(), 1))
        self._ahead = ahead
