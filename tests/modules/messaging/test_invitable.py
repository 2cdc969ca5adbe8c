"""Who accepts an invitation into a group is in it, once, if they could still be added."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from bus import Bus
from kernel.clock import now, rfc3339
from kernel.database import Database
from kernel.errors import ParleyError
from kernel.ids import new_id
from modules.contacts.events import Invite, InviteAccepted, Named
from modules.contacts.ports import Proposal
from modules.identity.directory import Directory
from modules.identity.schemas import UserEntry
from modules.identity.service import People
from modules.messaging.domain import MembershipChange
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.log.founding import Founding, found
from modules.messaging.membership import Membership
from modules.messaging.service.invitable import Invitable
from modules.messaging.service.reading import Reading
from realtime.hub import Hub
from tests.support.log import damage, read
from tests.support.party import places

MOST = 3
NOW = rfc3339(now())


class House:
    """Ana administers groups; ben, cem and dia are people."""

    def __init__(self, database: Database, dsn: str) -> None:
        self.database = database
        self.dsn = dsn
        self.people = People(database, Bus())
        directory = Directory(database, ttl_s=0)
        self.membership = Membership(Bus(), Broadcast(Hub(), Reading(database, directory)))
        self.invitable = Invitable(database, directory, self.membership, max_participants=MOST)

    async def group(self, **members: str) -> UUID:
        """Make a group of ana's, with these members, too."""
        async with self.database.transaction() as tx:
            founding = Founding(kind="group", title="Dock 4", members={"ana": "admin"} | members)
            channel = await found(tx.connection, founding)
        assert channel is not None
        return channel

    async def amend(self, channel_id: UUID, *changes: MembershipChange, status: str | None = None) -> None:
        """Change a group."""
        async with self.database.transaction() as tx:
            channel = await self.membership.hold(tx, channel_id)
            assert channel is not None
            await self.membership.amend(tx, channel, changes, status=status)

    async def accepted(self, *events: InviteAccepted) -> None:
        """Deliver these events, as the outbox does."""
        async with self.database.transaction() as tx:
            await self.invitable.accepted(tx, events)

    async def members(self, channel_id: UUID) -> Mapping[str, str]:
        """Return who is in a group, of which the log is whole."""
        assert damage(await read(self.dsn, str(channel_id))) == []
        return await places(self.dsn, str(channel_id))


@pytest.fixture
async def house(database: Database, dsn: str) -> House:
    house = House(database, dsn)
    names = ("ana", "ben", "cem", "dia")
    await house.people.put_all([UserEntry(user_id=name, username=name, display_name=name) for name in names])
    return house


def acceptance(channel_id: UUID, invitee: str = "ben", role: Any = "member", invitor: str = "ana") -> InviteAccepted:
    """Return that somebody accepted an invitation into a group."""
    invite = Invite(
        id=new_id(),
        kind="channel",
        status="accepted",
        invitor=Named(invitor, invitor, invitor),
        invitee=Named(invitee, invitee, invitee),
        channel_id=channel_id,
        channel_title="Dock 4",
        channel_role=role,
        message=None,
        created_at=NOW,
        expires_at=NOW,
        responded_at=NOW,
        metadata={},
    )
    return InviteAccepted(invite=invite)


@pytest.mark.parametrize("role", ["admin", "moderator", "member"])
async def test_who_accepts_is_in_it_in_the_role_once_however_often_it_is_told(house: House, role: str) -> None:
    channel = await house.group()
    told = acceptance(channel, role=role)
    await house.accepted(told, told)
    await house.accepted(told)
    assert await house.members(channel) == {"ana": "admin", "ben": role}
    [record] = (await read(house.dsn, str(channel))).records
    assert (record.kind, record.details) == ("participant_joined", {"user_id": "ben", "role": role, "by": "ana"})


async def test_who_is_in_it_already_keeps_their_role(house: House) -> None:
    channel = await house.group(ben="moderator")
    await house.accepted(acceptance(channel, role="admin"))
    assert await house.members(channel) == {"ana": "admin", "ben": "moderator"}


async def test_who_has_left_since_comes_back(house: House) -> None:
    channel = await house.group(ben="moderator")
    await house.amend(channel, MembershipChange("participant_left", "ben"))
    await house.accepted(acceptance(channel))
    assert await house.members(channel) == {"ana": "admin", "ben": "member"}


async def archived(house: House, channel: UUID) -> None:
    """Archive the group."""
    await house.amend(channel, status="archived")


async def full(house: House, channel: UUID) -> None:
    """Let nobody else in."""
    await house.amend(channel, *(MembershipChange("participant_joined", who, "member") for who in ("cem", "dia")))


async def no_admin_any_more(house: House, channel: UUID) -> None:
    """Have the invitor be a member like others."""
    await house.amend(channel, MembershipChange("participant_role_changed", "ana", "moderator"))


async def gone(house: House, channel: UUID) -> None:
    """Have the invitor leave."""
    await house.amend(channel, MembershipChange("participant_left", "ana"))


async def deactivated(house: House, _channel: UUID) -> None:
    """Deactivate the invitee."""
    await house.people.deactivate("ben")


@pytest.mark.parametrize("meanwhile", [archived, full, no_admin_any_more, gone, deactivated])
async def test_who_could_not_be_added_any_more_is_not(house: House, meanwhile: Any) -> None:
    channel, other = await house.group(), await house.group()
    await meanwhile(house, channel)
    before = await house.members(channel)
    await house.accepted(acceptance(channel), acceptance(other, "cem"))
    assert await house.members(channel) == before
    assert await house.members(other) == {"ana": "admin", "cem": "member"}


async def test_they_would_be_without_looking_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant."""
    monkeypatch.setattr(Invitable, "_refusal", lambda *_: None)
    channel = await house.group()
    await archived(house, channel)
    await house.accepted(acceptance(channel))
    assert "ben" in await house.members(channel)


async def test_only_as_many_as_there_is_room_for_are_let_in(house: House) -> None:
    channel = await house.group()
    await house.accepted(*(acceptance(channel, name) for name in ("ben", "cem", "dia")))
    assert await house.members(channel) == {"ana": "admin", "ben": "member", "cem": "member"}


async def test_of_channels_that_are_none_nothing_is_made(house: House) -> None:
    await house.accepted(acceptance(new_id()))


async def test_batches_that_name_the_same_groups_wait_in_one_order(house: House) -> None:
    channels = [await house.group() for _ in range(4)]
    told: Sequence[InviteAccepted] = [acceptance(channel) for channel in channels]
    await asyncio.gather(*(house.accepted(*events) for events in (told, told[::-1]) for _ in range(4)))
    for channel in channels:
        assert await house.members(channel) == {"ana": "admin", "ben": "member"}


async def test_what_can_be_proposed_is_told_in_one_look(house: House) -> None:
    group, closed, filled = await house.group(ben="moderator"), await house.group(), await house.group()
    await archived(house, closed)
    await full(house, filled)
    async with house.database.transaction() as tx:
        direct = await found(tx.connection, Founding(kind="direct", members={"ana": "member", "ben": "member"}))
    assert direct is not None

    def slug(refusal: ParleyError | None) -> str | None:
        return None if refusal is None else refusal.slug

    asked = [
        ("ana", group, "cem", (None, "Dock 4", False)),
        ("ana", group, "ben", (None, "Dock 4", True)),
        ("ben", group, "cem", ("forbidden", None, False)),
        ("cem", group, "dia", ("not-found", None, False)),
        ("cem", new_id(), "dia", ("not-found", None, False)),
        ("ana", closed, "cem", ("channel-closed", None, False)),
        ("ana", filled, "ben", ("conflict", None, False)),
        ("ana", direct, "cem", ("conflict", None, False)),
    ]
    told = await house.invitable.admissions([Proposal(who, where, whom, "member") for who, where, whom, _ in asked])
    seen = [(slug(one.refusal), one.title, one.is_member) for one in told]
    assert seen == [expected for *_, expected in asked]
    assert await house.invitable.admissions([]) == []
