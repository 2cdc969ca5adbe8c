"""Who was deactivated has no contacts and waits for no answer any more.

Guarantees: each part is done and told in a transaction of its own, short however much there is; a part that is done is
not there any more, so that beginning anew after a crash goes on where it ended. Who has come back since keeps what they
have begun since, however late this is.
"""

from kernel.clock import Clock
from kernel.database import Database, Transaction
from modules.contacts.ports import People
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.naming import people_of
from modules.contacts.store import departures as store
from modules.contacts.store import invites as rows
from modules.contacts.store import pairs
from modules.contacts.store.departures import Departed
from modules.identity.events import UserDeactivated

CONSUMER = "contacts.departures"
BATCH = 100


class Departures:
    """A durable consumer of deactivations."""

    def __init__(self, *, database: Database, people: People, lifecycle: Lifecycle, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._lifecycle = lifecycle
        self._clock = clock

    async def deactivated(self, tx: Transaction, events: list[UserDeactivated]) -> None:
        """Take back what they were invited to and invited to, part them from their contacts, forget their blocks."""
        people = await self._people.find({event.user_id for event in events})
        gone = {one.user_id: one.occurred_at if people[one.user_id].active else None for one in events}
        while await self._revoke(gone):
            pass
        while await self._part(gone):
            pass
        await store.unblock(tx.connection, gone)

    async def _revoke(self, gone: Departed) -> bool:
        """Revoke some pending invitations; whether there were any."""
        async with self._database.connection() as connection:
            waiting = await store.pending(connection, gone, BATCH)
        if not waiting:
            return False
        names = await self._people.find(people_of(waiting))
        async with self._database.transaction() as tx:
            await pairs.lock(tx.connection, [invite.pair for invite in waiting])
            await rows.lock(tx.connection, ids := [invite.id for invite in waiting])
            await self._lifecycle.close(tx, ids, "revoked", names, now=self._clock(), by=None)
        return True

    async def _part(self, gone: Departed) -> bool:
        """End some pairs; whether there were any."""
        async with self._database.connection() as connection:
            couples = await store.pairs(connection, gone, BATCH)
        if not couples:
            return False
        names = await self._people.find({user for couple in couples for user in couple})
        async with self._database.transaction() as tx:
            await pairs.lock(tx.connection, couples)
            await self._lifecycle.part(tx, couples, names)
        return True
