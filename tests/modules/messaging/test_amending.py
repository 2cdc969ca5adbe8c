"""What changes a channel commits with its records and events, or not at all."""

from uuid import UUID

import pytest

from bus import Bus, Event
from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.domain import MembershipChange
from modules.messaging.events import ParticipantJoined, ParticipantLeft
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.log.founding import Founding, found
from modules.messaging.membership import Membership
from modules.messaging.service.reading import Reading
from realtime.hub import Hub
from tests.support.log import damage, read

JOINED = MembershipChange("participant_joined", "ben", "member")
PROMOTED = MembershipChange("participant_role_changed", "ben", "admin")
LEFT = MembershipChange("participant_left", "ben")


class ChangedTheirMindError(Exception):
    """Something after the change fails."""


class Amended:
    """A group of ana's, in this process, and what the bus was told of it."""

    def __init__(self, database: Database, channel: UUID) -> None:
        self._database = database
        self._channel = channel
        self._told: list[Event] = []
        bus = Bus()
        for kind in (ParticipantJoined, ParticipantLeft):
            bus.on(kind, self._told.append)
        self._membership = Membership(bus, Broadcast(Hub(), Reading(database, Directory(database))))

    async def amend(self, *changes: MembershipChange, status: str | None = None, fails: bool = False) -> None:
        """Change the group."""
        async with self._database.transaction() as tx:
            channel = await self._membership.hold(tx, self._channel)
            assert channel is not None
            await self._membership.amend(tx, channel, changes, status=status, by="ana")
            if fails:
                raise ChangedTheirMindError

    @property
    def told(self) -> list[tuple[type[Event], int, str]]:
        """What the bus was told."""
        told = [event for event in self._told if isinstance(event, ParticipantJoined | ParticipantLeft)]
        assert {event.channel_id for event in told} <= {self._channel}
        return [(type(event), event.seq, event.user_id) for event in told]


@pytest.fixture
async def channel(database: Database) -> UUID:
    async with database.transaction() as tx:
        made = await found(tx.connection, Founding(kind="group", title="t", members={"ana": "admin"}))
    assert made is not None
    return made


async def test_the_bus_is_told_who_joined_and_who_left(dsn: str, database: Database, channel: UUID) -> None:
    group = Amended(database, channel)
    await group.amend(JOINED)
    await group.amend(PROMOTED, status="archived")
    await group.amend(LEFT, status="active")
    assert group.told == [(ParticipantJoined, 1, "ben"), (ParticipantLeft, 4, "ben")]
    log = await read(dsn, str(channel))
    assert damage(log) == []
    assert [record.kind for record in log.records] == [
        "participant_joined",
        "participant_role_changed",
        "channel_archived",
        "participant_left",
        "channel_reopened",
    ]
    assert {(record.details or {})["by"] for record in log.records} == {"ana"}


async def test_what_fails_leaves_nothing(dsn: str, database: Database, channel: UUID) -> None:
    group = Amended(database, channel)
    with pytest.raises(ChangedTheirMindError):
        await group.amend(JOINED, status="archived", fails=True)
    assert group.told == []
    assert (await read(dsn, str(channel))).records == []
    await group.amend(JOINED)
    assert group.told == [(ParticipantJoined, 1, "ben")]


async def test_what_is_so_already_is_no_change(dsn: str, database: Database, channel: UUID) -> None:
    group = Amended(database, channel)
    await group.amend()
    await group.amend(status="active")
    assert (await read(dsn, str(channel))).records == []


async def test_there_is_nothing_to_hold_where_nothing_is(database: Database, channel: UUID) -> None:
    membership = Membership(Bus(), Broadcast(Hub(), Reading(database, Directory(database))))
    async with database.transaction() as tx:
        assert await membership.hold(tx, UUID(int=0)) is None
        held = await membership.hold(tx, channel)
    assert held is not None
    assert held.members == {"ana": "admin"}
