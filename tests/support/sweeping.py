"""Workers on a database, with a clock that the test sets, and what became of a hundred invitations."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bus import Bus
from kernel.clock import now
from kernel.database import Database, Transaction
from modules.contacts.events import InviteExpired, InviteReminded
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.sweeping import Expiry, Forgetting, Reminders, Sweep
from tests.support.invitations import Invitations, invitation
from tests.support.people import Everybody, NoDirects

T0 = now()
DAY = timedelta(days=1)
CONSUMER = "tests.contacts"
TOLD = "SELECT payload FROM bus_outbox WHERE consumer = $1"


class Instance:
    """The workers of one process. What they tell stays in the outbox: nobody serves it."""

    def __init__(self, database: Database, bus: Bus | None = None) -> None:
        self.database = database
        self.time = T0
        self.bus = bus or Bus()
        for kind in (InviteExpired, InviteReminded):
            self.bus.consume(CONSUMER, kind, self._never)
        lifecycle = Lifecycle(self.bus, NoDirects(), require_contact=True)
        people = Everybody()
        self.expiry = Expiry(database=database, people=people, lifecycle=lifecycle, clock=self.clock)
        self.reminders = Reminders(database=database, people=people, lifecycle=lifecycle, clock=self.clock)
        self.forgetting = Forgetting(database=database, clock=self.clock)

    def clock(self) -> datetime:
        """The time that the test has set."""
        return self.time

    async def finish(self, sweep: Sweep | Forgetting) -> None:
        """Let a worker do all that is due."""
        while await sweep.round() == 0:
            pass

    async def _never(self, _tx: Transaction, _events: list[Any]) -> None:
        raise NotImplementedError


async def due(database: Database, count: int, **fields: Any) -> None:
    """Make invitations to so many people that expire a day after `T0`."""
    given = {"created_at": T0, "expires_at": T0 + DAY} | fields
    await Invitations(database).make(*(invitation("ana", f"user-{n}", **given) for n in range(count)))


async def statuses(database: Database) -> Counter[str]:
    """Return how many there are of each status."""
    rows = await Invitations(database).fetch("SELECT status, count(*) FROM contact_invites GROUP BY status")
    return Counter(dict(rows))


async def told(database: Database) -> list[Any]:
    """Return what was told, once for each time."""
    return [msgspec.json.decode(row[0]) for row in await Invitations(database).fetch(TOLD, CONSUMER)]


async def faults(database: Database) -> list[str]:
    """Return what expired without being told once, or was told without having expired, or has no line of its own."""
    rows = Invitations(database)
    expired = {str(row[0]) for row in await rows.fetch("SELECT id FROM contact_invites WHERE status = 'expired'")}
    lines = await rows.fetch("SELECT invite_id FROM contact_invite_history WHERE status = 'expired'")
    times = Counter(event["invite"]["id"] for event in await told(database))
    found = [f"told {count} times: {one}" for one, count in times.items() if count > 1]
    found += [f"lost: {one}" for one in expired - times.keys()]
    found += [f"untrue: {one}" for one in times.keys() - expired]
    return found + [f"no line: {one}" for one in expired ^ {str(row[0]) for row in lines}]
