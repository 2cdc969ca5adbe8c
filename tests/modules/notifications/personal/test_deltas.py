"""What other modules publish is told by one entry, as contacts and invitations are; contacts are those of now."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from bus import Bus
from bus.events import Event
from kernel.database import Database
from kernel.settings import Settings
from modules.identity.module import IdentityModule
from modules.messaging.counts import Counts
from modules.messaging.tickets import Tickets
from modules.notifications.module import PersonalSockets
from modules.notifications.personal.deltas import Delta
from modules.notifications.personal.frames import Notice
from modules.notifications.personal.post import TOLD, TOPIC
from realtime.admission import Admission
from realtime.connection import Connection
from realtime.entrance import Entrance
from realtime.hub import Hub
from realtime.presence.memory import MemoryPresence
from realtime.presence.watchers import Watchers
from tests.support.devices import Line, device, line_of

WELCOME = Notice(title="Hello", body="You know each other now")


class Befriended(Event, frozen=True, tag="tests.people.befriended"):
    """Two people know each other."""

    user_ids: list[str]


FRIENDS = [Delta(Befriended, lambda event: [(event.user_ids, WELCOME)])]


class Friends:
    """Who knows whom."""

    def __init__(self) -> None:
        self.of: dict[str, set[str]] = {}

    async def all_contacts(self, user_id: str) -> Collection[str]:
        """See `Contacts`."""
        return self.of.get(user_id, set())


class Place(msgspec.Struct):
    """An instance without a network."""

    hub: Hub
    bus: Bus
    friends: Friends
    sockets: PersonalSockets
    database: Database

    async def page(self, user_id: str) -> Connection:
        """Open somebody's page."""
        connection = Connection(user_id, Line(), flusher=self.hub.flusher, queue_limit=100_000)
        connection.hold_all()
        self.sockets.endpoint._company.register(connection)
        await self.sockets.endpoint._join(connection)
        return connection

    async def befriend(self, *people: str) -> None:
        """Let two people know each other."""
        for one, other in (people, people[::-1]):
            self.friends.of.setdefault(one, set()).add(other)
        async with self.database.transaction() as tx:
            await self.bus.publish(tx, Befriended(user_ids=list(people)))
        for one in people:  # as is signalled
            self.sockets.circle.changed(one)


async def heard(page: Connection, **members: Any) -> list[dict[str, Any]]:
    """Return what a page heard that has these members."""
    await asyncio.sleep(0.1)
    frames = [msgspec.json.decode(frame.payload) for frame in line_of(page).frames]
    return [frame for frame in frames if members.items() <= frame.items()]


@asynccontextmanager
async def place(
    database: Database, settings: Settings, *, hub: Hub | None = None, deltas: Sequence[Delta] = FRIENDS
) -> AsyncIterator[Place]:
    """Wire an instance in this process. `hub`: one that is connected with others."""
    hub, bus, friends = hub or Hub(), Bus(), Friends()
    identity = IdentityModule(settings=settings, database=database, bus=bus)
    watchers = Watchers(hub, MemoryPresence(hub, 300))
    sockets = PersonalSockets(
        settings=settings,
        database=database,
        hub=hub,
        watchers=watchers,
        authenticator=identity.authenticator,
        admission=Admission(
            authenticator=identity.authenticator,
            tickets=Tickets(database),
            people=identity.directory,
            settings=settings,
        ),
        entrance=Entrance(settings),
        people=identity.directory,
        counts=Counts(database),
        contacts=friends,
        deltas=deltas,
    )
    sockets.subscribe(bus)
    await watchers.start()
    await sockets.start()
    try:
        yield Place(hub, bus, friends, sockets, database)
    finally:
        await sockets.stop()
        await watchers.stop()


async def test_what_a_module_publishes_is_told_to_those_whom_it_concerns(
    database: Database, settings: Settings
) -> None:
    async with place(database, settings) as here:
        ana, ben, cem = [await here.page(name) for name in ("ana", "ben", "cem")]
        await here.befriend("ana", "ben")
        for page in (ana, ben):
            assert await heard(page, type="notice") == [{"type": "notice", "title": "Hello", "body": WELCOME.body}]
        assert await heard(cem, type="notice") == []


async def test_who_becomes_a_contact_is_told_of_and_who_is_none_any_more_is_not(
    database: Database, settings: Settings
) -> None:
    async with place(database, settings) as here:
        ana = await here.page("ana")
        device(here.hub, "ben")
        assert await heard(ana, type="presence") == []
        await here.befriend("ana", "ben")
        assert await heard(ana, type="presence") == [{"type": "presence", "user_id": "ben", "status": "online"}]
        here.friends.of["ana"].clear()
        here.sockets.circle.changed("ana")
        await heard(ana)
        assert "presence:ben" not in ana.topics


async def test_another_instance_that_tells_of_it_is_heard_here_too(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place(database, settings) as here:
        said: list[bytes] = []
        monkeypatch.setattr(here.hub, "relay", lambda _topic, kind, *parts: said.append(b"".join((kind, *parts))))
        await here.befriend("ana", "ben")
        ana = await here.page("ana")
        (parcel,) = [message for message in said if message[:1] == TOLD]
        here.hub._from_others(TOPIC, parcel)
        assert len(await heard(ana, type="notice")) == 1
