"""Who is deactivated leaves nothing open, however much it was, and whenever the process dies in between."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import pytest

from bus import Bus
from kernel.clock import now
from kernel.database import Database
from modules.contacts.events import ContactRemoved, InviteRevoked
from modules.contacts.service import departures
from modules.contacts.service.departures import Departures
from modules.contacts.service.lifecycle import Lifecycle
from modules.identity.events import UserDeactivated
from tests.support.invitations import Invitations, invitation
from tests.support.people import Everybody, NoDirects, Somebody
from tests.support.sweeping import DAY, T0

MANY = 45
HOUR = timedelta(hours=1)
LEFT = """
SELECT (SELECT count(*) FROM contact_invites WHERE status = 'pending' AND 'ben' IN (invitor_id, invitee_id))
     + (SELECT count(*) FROM contact_pairs WHERE 'ben' IN (low_id, high_id))
     + (SELECT count(*) FROM contact_blocks WHERE blocker_id = 'ben')
"""
REST = """
SELECT (SELECT count(*) FROM contact_invites WHERE status = 'pending'), (SELECT count(*) FROM contact_pairs),
       (SELECT count(*) FROM contact_blocks)
"""


class DiedError(Exception):
    """The process is gone."""


class House:
    """A consumer of deactivations, and what was told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.told: list[str] = []
        bus = Bus()
        bus.on(InviteRevoked, lambda event: self.told.append(str(event.invite.id)))
        bus.on(ContactRemoved, lambda event: self.told.append(str([user.user_id for user in event.users])))
        lifecycle = Lifecycle(bus, NoDirects(), require_contact=True)
        self.departures = Departures(database=database, people=Everybody(), lifecycle=lifecycle, clock=lambda: T0)

    async def furnish(self) -> None:
        """Give ben much to leave behind, and others a little of their own."""
        made = [invitation("ben", f"user-{n}", created_at=T0 - DAY, expires_at=T0 + DAY) for n in range(MANY)]
        made += [invitation(f"user-{n}", "ben", channel_id=one.id) for n, one in enumerate(made)]
        await Invitations(self.database).make(*made, invitation("ana", "cleo"))
        async with self.database.transaction() as tx:
            pairs = "INSERT INTO contact_pairs SELECT least('ben', 'z' || i), greatest('ben', 'z' || i) FROM"
            await tx.connection.execute(f"{pairs} generate_series(1, $1::int) i", MANY)
            await tx.connection.execute("INSERT INTO contact_pairs VALUES ('a', 'ben'), ('ana', 'zoe')")
            await tx.connection.execute("INSERT INTO contact_blocks VALUES ('ben', 'ana'), ('ana', 'ben')")

    async def deactivated(self) -> None:
        """Let the consumer hear that ben is."""
        async with self.database.transaction() as tx:
            await self.departures.deactivated(tx, [UserDeactivated(user_id="ben")])


@pytest.fixture
async def house(database: Database, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(departures, "BATCH", 10)
    house = House(database)
    await house.furnish()
    return house


async def test_nothing_is_left_open(house: House) -> None:
    await house.deactivated()
    assert await Invitations(house.database).fetch(LEFT) == [(0,)]
    assert await Invitations(house.database).fetch(REST) == [(1, 1, 1)], "what others have among them stays"
    assert len(house.told) == len(set(house.told)) == 3 * MANY + 1
    await house.deactivated()
    assert len(house.told) == 3 * MANY + 1


class BackAgain(Everybody):
    """People of whom nobody is gone but ben, and he only until he comes back."""

    is_gone = True

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Somebody]:
        return {user_id: Somebody(user_id, not (self.is_gone and user_id == "ben")) for user_id in user_ids}


async def test_who_has_come_back_keeps_what_they_have_begun_since(house: House) -> None:
    """However late the event is heard, or heard once more."""
    people, event = BackAgain(), UserDeactivated(user_id="ben", occurred_at=now() - HOUR)
    house.departures._people = people
    async with house.database.transaction() as tx:
        await tx.connection.execute("UPDATE contact_pairs SET since = now() - interval '1 day'")
        await tx.connection.execute("UPDATE contact_blocks SET since = now() - interval '1 day'")
        await tx.connection.execute("UPDATE contact_invites SET created_at = created_at - interval '1 day'")
        await tx.connection.execute("INSERT INTO contact_pairs VALUES ('ben', 'cleo')")
        await tx.connection.execute("INSERT INTO contact_blocks VALUES ('ben', 'zoe')")
    fresh = invitation("ben", "zoe", created_at=now(), expires_at=now() + DAY)
    await Invitations(house.database).make(fresh)
    people.is_gone = False
    for _ in range(2):
        async with house.database.transaction() as tx:
            await house.departures.deactivated(tx, [event])
        assert await Invitations(house.database).fetch(LEFT) == [(3,)], "an invitation, a contact and a block"
    people.is_gone = True
    async with house.database.transaction() as tx:
        await house.departures.deactivated(tx, [event])
    assert await Invitations(house.database).fetch(LEFT) == [(0,)], (
        "of who is gone nothing is left, whenever it was made"
    )


@pytest.mark.parametrize("batches", [1, 4, 9, 11])
async def test_what_was_begun_is_finished_later(house: House, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Each batch is done for good; the event comes again."""
    transaction, left = Database.transaction, batches + 1

    def dying(self: Database, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise DiedError
        return transaction(self, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Database, "transaction", dying)
        with pytest.raises(DiedError):
            await house.deactivated()
    await house.deactivated()
    assert await Invitations(house.database).fetch(LEFT) == [(0,)]
    assert len(house.told) == len(set(house.told)) == 3 * MANY + 1
