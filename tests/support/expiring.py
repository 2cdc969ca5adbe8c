"""A process that lets invitations expire, slowly, so that a kill comes in the midst of a batch."""

import asyncio
import sys
from collections.abc import Collection
from datetime import datetime

from bus import Bus, Event
from kernel.database import Database, Transaction
from modules.contacts import sweeping
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.events import InviteExpired
from modules.contacts.service.naming import people_of, shown
from modules.contacts.store import invites as rows
from modules.contacts.sweeping import Expiry
from tests.support.sweeping import DAY, T0, Instance

BATCH = 20
A_WHILE_S = 0.05


class SlowBus(Bus):
    """Takes its time between the change and its event, and says when."""

    async def publish(self, tx: Transaction, *events: Event) -> None:
        """Tell, after a while."""
        print(len(events), flush=True)
        await asyncio.sleep(A_WHILE_S)
        await super().publish(tx, *events)


class TellsApart(Expiry):
    """Broken: writes that they have expired, and tells of it in another transaction."""

    async def _sweep(self, found: Collection[StoredInvite], now: datetime) -> int:
        names = await self._people.find(people_of(found))
        async with self._database.transaction() as tx:
            closed = await rows.close(tx.connection, [one.id for one in found], "expired", now, None)
        async with self._database.transaction() as tx:
            await self._lifecycle._bus.publish(tx, *(InviteExpired(invite=shown(one, names)) for one in closed))
        return len(closed)


async def expire(dsn: str, *, careless: bool) -> None:
    """Expire all that there is."""
    sweeping.BATCH = BATCH
    database = await Database.connect(dsn, size=4)
    one = Instance(database, SlowBus())
    one.time = T0 + 2 * DAY
    if careless:
        one.expiry.__class__ = TellsApart
    await one.finish(one.expiry)
    await database.close()


if __name__ == "__main__":
    asyncio.run(expire(sys.argv[1], careless=sys.argv[2] == "careless"))
