"""What contacts publish is told at the personal socket: to those whom it concerns, on every instance, whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus import Event
from kernel.clock import now, rfc3339
from kernel.database import Database
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.signals import Signals, notify
from modules.contacts import events
from modules.notifications.personal.deltas import DELTAS, Delta
from realtime.connection import Connection
from realtime.hub import Hub
from realtime.redis_backplane import RedisBackplane
from tests.modules.notifications.personal.test_deltas import Place, heard, place
from tests.support.redis_server import running_redis

SIGNALLED_S = 15
NAMES = {"ana": "Ana", "ben": "Ben", "cem": "Cem"}
TOLD: dict[type[events.InviteEvent], tuple[str, set[str]]] = {
    events.InviteCreated: ("invite.received", {"ben"}),
    events.InviteReminded: ("invite.reminder", {"ben"}),
    events.InviteAccepted: ("invite.accepted", {"ana", "ben"}),
    events.InviteDeclined: ("invite.declined", {"ana", "ben"}),
    events.InviteRevoked: ("invite.revoked", {"ana", "ben"}),
    events.InviteExpired: ("invite.expired", {"ana", "ben"}),
}
"""Of Ana's invitation to Ben: which frame, and who hears it."""


def named(user_id: str) -> events.Named:
    return events.Named(user_id, user_id, NAMES[user_id])


def an_invite(**fields: Any) -> events.Invite:
    """Return Ana's invitation to Ben."""
    given: dict[str, Any] = {
        "id": new_id(),
        "kind": "contact",
        "status": "pending",
        "channel_id": None,
        "channel_title": None,
        "channel_role": None,
        "message": "We met at the gate \N{WAVING HAND SIGN}",
        "created_at": rfc3339(now()),
        "expires_at": rfc3339(now()),
        "responded_at": None,
        "metadata": {"from": "gate"},
    }
    return events.Invite(invitor=named("ana"), invitee=named("ben"), **(given | fields))


def of(kind: type[events.InviteEvent], invite: events.Invite) -> Event:
    return events.InviteReminded(invite=invite, reminders=1) if kind is events.InviteReminded else kind(invite=invite)


async def publish(here: Place, *told: Event) -> None:
    async with here.database.transaction() as tx:
        await here.bus.publish(tx, *told)


async def types(page: Connection) -> list[str]:
    return [frame["type"] for frame in await heard(page) if frame["type"].startswith(("invite.", "contact."))]


@asynccontextmanager
async def three_people(here: Place) -> AsyncIterator[dict[str, Connection]]:
    yield {name: await here.page(name) for name in NAMES}


@pytest.mark.parametrize("kind", TOLD)
async def test_an_invitation_is_told_of_whole_to_those_whom_it_concerns(
    database: Database, settings: Settings, kind: type[events.InviteEvent]
) -> None:
    frame, people = TOLD[kind]
    async with place(database, settings, deltas=DELTAS) as here, three_people(here) as pages:
        invite = an_invite()
        await publish(here, of(kind, invite))
        expected = {"type": frame, "invite": msgspec.json.decode(msgspec.json.encode(invite))}
        told = {name: await heard(page, type=frame) for name, page in pages.items()}
        assert told == {name: [expected] if name in people else [] for name in NAMES}


async def test_each_of_two_is_told_of_the_other(database: Database, settings: Settings) -> None:
    async with place(database, settings, deltas=DELTAS) as here, three_people(here) as pages:
        both = (named("ana"), named("ben"))
        await publish(here, events.ContactAdded(users=both), events.ContactRemoved(users=both))
        for one, other in (("ana", "ben"), ("ben", "ana")):
            user = msgspec.to_builtins(named(other))
            kinds = ("contact.added", "contact.removed")
            told = [frame for kind in kinds for frame in await heard(pages[one], type=kind)]
            assert told == [{"type": kind, "user": user} for kind in kinds]
        assert await types(pages["cem"]) == []


async def test_who_is_at_another_instance_hears_it_in_order_and_sees_their_new_contact(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis(tmp_path))
        places = []
        for _ in range(2):
            backplane = RedisBackplane(redis.url)
            hub = Hub(backplane)
            await backplane.start()
            stack.push_async_callback(backplane.stop)
            places.append(await stack.enter_async_context(place(database, settings, hub=hub, deltas=DELTAS)))
        here, there = places
        signals = Signals(database)
        there.sockets.listen(signals)
        await signals.start()
        stack.push_async_callback(signals.stop)
        ben = await there.page("ben")
        invite = an_invite()
        for kind in (events.InviteCreated, events.InviteReminded, events.InviteAccepted):
            await publish(here, of(kind, invite))
        there.friends.of["ben"] = {"ana"}
        async with here.database.transaction() as tx:
            await here.bus.publish(tx, events.ContactAdded(users=(named("ana"), named("ben"))))
            await notify(tx.connection, events.CONTACTS_SIGNAL, "ana", "ben")
        assert await types(ben) == ["invite.received", "invite.reminder", "invite.accepted", "contact.added"]
        async with asyncio.timeout(SIGNALLED_S):
            while "presence:ana" not in ben.topics:
                await asyncio.sleep(0.02)


async def test_the_check_finds_who_is_told_that_isnt_concerned(database: Database, settings: Settings) -> None:
    """The broken variant: whoever invites is told that they were."""
    to_both = next(delta.tells for delta in DELTAS if delta.event is events.InviteRevoked)
    async with place(database, settings, deltas=[Delta(events.InviteCreated, to_both)]) as here:
        ana = await here.page("ana")
        await publish(here, of(events.InviteCreated, an_invite()))
        assert await types(ana)
