"""Workers that do what falls due by itself: invitations expire, people are reminded, old counts are forgotten.

Overview: each round takes a bounded batch: what is due is read, the names for it are asked for, then what is still due
is changed and told in one short transaction. Full batches follow each other at once.

Concurrency: any number of processes. What one is working on, or somebody is just answering, is skipped by the others.

Guarantees: the change, its line of the history and its event commit together, so whenever a process dies nothing is
lost and nothing is told twice. What somebody answered in time doesn't expire.
"""

from abc import abstractmethod
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from kernel.clock import Clock
from kernel.database import Database, Transaction
from kernel.worker import POLL_S, Worker
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.metrics import INVITES_FALLEN_DUE
from modules.contacts.ports import People
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.naming import Names, people_of
from modules.contacts.store import due
from modules.contacts.store.due import What

BATCH = 100
"""So few, because this process encodes, commits and tells of a batch in one go, and others wait for it meanwhile."""
CLEAN_EVERY = timedelta(minutes=10)
LONGEST_WINDOW = timedelta(days=1)


class Sweep(Worker):
    """Base of those that go through invitations."""

    what: ClassVar[What]

    def __init__(self, *, database: Database, people: People, lifecycle: Lifecycle, clock: Clock) -> None:
        super().__init__()
        self._database = database
        self._people = people
        self._lifecycle = lifecycle
        self._clock = clock

    async def round(self) -> float:
        """Do one batch of what is due; return how long there is nothing to do."""
        now = self._clock()
        async with self._database.connection() as connection:
            found = await due.find(connection, self.what, now, BATCH)
        done = await self._sweep(found, now) if found else 0
        return 0 if done and len(found) == BATCH else POLL_S

    async def _sweep(self, found: Collection[StoredInvite], now: datetime) -> int:
        names = await self._people.find(people_of(found))
        async with self._database.transaction() as tx:
            still = await due.lock(tx.connection, self.what, [invite.id for invite in found], now)
            done = len(await self._change(tx, still, names, now))
            tx.after_commit(lambda: INVITES_FALLEN_DUE.labels(self.what).inc(done))
        return done

    @abstractmethod
    async def _change(
        self, tx: Transaction, invite_ids: Collection[UUID], names: Names, now: datetime
    ) -> Collection[StoredInvite]:
        """Change invitations that are locked and still due; returns them."""


class Expiry(Sweep):
    """Ends invitations whose time is over."""

    what = "expired"

    async def _change(
        self, tx: Transaction, invite_ids: Collection[UUID], names: Names, now: datetime
    ) -> Collection[StoredInvite]:
        return await self._lifecycle.close(tx, invite_ids, "expired", names, now=now, by=None)


class Reminders(Sweep):
    """Reminds invitees of what is about to expire."""

    what = "reminded"

    async def _change(
        self, tx: Transaction, invite_ids: Collection[UUID], names: Names, now: datetime
    ) -> Collection[StoredInvite]:
        return await self._lifecycle.remind(tx, invite_ids, names, now=now)


class Forgetting(Worker):
    """Removes counts whose window is over."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        super().__init__()
        self._database = database
        self._clock = clock
        self._next_at: datetime | None = None

    async def round(self) -> float:
        """Remove one batch, if it is time to; return how long there is nothing to do."""
        now = self._clock()
        if self._next_at is not None and now < self._next_at:
            return POLL_S
        async with self._database.connection() as connection:
            removed = await due.remove_usage(connection, now - LONGEST_WINDOW, BATCH)
        if removed == BATCH:
            return 0
        self._next_at = now + CLEAN_EVERY
        return POLL_S
