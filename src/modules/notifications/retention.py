"""Removes from the ledger what is old enough.

Overview: once an hour one instance goes through what is older than the time to keep, a bounded batch a transaction, so
that sending never waits for long. What is in doubt or under way is kept, however old.

Concurrency: any number of processes; an advisory lock gives one of them the turn for a batch.

Guarantees: nothing is alerted again for having been removed, and the ranges of those that are left don't overlap.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from kernel.clock import Clock
from kernel.database import Database
from kernel.worker import POLL_S, Worker
from modules.notifications.domain.costs import HOUR, counts_since
from modules.notifications.metrics import LEDGER_TRIMMED
from modules.notifications.store import retention

log = structlog.get_logger(__name__)

BATCH = 500
EVERY = timedelta(hours=1)


class Retention(Worker):
    """Keeps the ledger for `days`."""

    def __init__(self, *, database: Database, clock: Clock, days: float) -> None:
        super().__init__()
        self._database = database
        self._clock = clock
        self._kept = timedelta(days=days)
        self._next_at: datetime | None = None
        self._after: UUID | None = None

    async def round(self) -> float:
        """Remove one batch, if it is time to; return how long there is nothing to do."""
        now = self._clock()
        if self._next_at is not None and now < self._next_at:
            return POLL_S
        if await self._batch(now):
            return 0
        self._next_at = now + EVERY
        return POLL_S

    async def _batch(self, now: datetime) -> bool:
        """Remove a batch of each; whether there may be more."""
        before = now - self._kept
        async with self._database.transaction() as tx:
            if not await retention.alone(tx.connection):
                return False
            after, removed = await retention.remove_deliveries(tx.connection, self._after, before, BATCH)
            answers = await retention.remove_answers(tx.connection, before, BATCH)
            usage = await retention.remove_usage(tx.connection, counts_since(now) - HOUR, BATCH)
            tx.after_commit(lambda: LEDGER_TRIMMED.inc(removed))
        self._after = after
        if removed or answers:
            log.info("ledger_trimmed", deliveries=removed, answers=answers)
        return after is not None or BATCH in (answers, usage)
