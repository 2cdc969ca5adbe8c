"""Who isn't there is told of invitations by the machine that tells of messages, and of none of it twice."""

import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from kernel.database import Database
from kernel.settings import Settings
from kernel.telemetry import logging
from modules.notifications.domain import alerts as domain
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.preferences import Categories, Preferences
from modules.notifications.events import DeliveryChanged
from modules.notifications.schemas import delivery_out
from modules.notifications.store import alerts
from realtime.attention import Attention
from tests.modules.notifications.conftest import PUBLIC_URL, Clock, House
from tests.modules.notifications.test_retention import trim
from tests.modules.notifications.world import Person, World
from tests.support.twilio_server import TwilioServer

ANA, BEN = Person("ana", phone="+4915100000001"), Person("ben", phone="+4915100000002")
AT_A_DEVICE = Attention(online=True, active=True)


@pytest.fixture(autouse=True)
def people(world: World) -> None:
    world.people |= {person.user_id: msgspec.structs.replace(person) for person in (ANA, BEN)}


@pytest.fixture
async def invite_id(house: House, world: World, clock: Clock) -> UUID:
    """Ana has just invited Ben."""
    event = world.invite("ana", "ben", clock.time)
    await house.publish(event)
    return event.invite.id


async def after(house: House, clock: Clock, **duration: float) -> list[Delivery]:
    """Let time pass, and what is due by then be done; return the ledger."""
    clock.forward(**duration)
    await house.decide()
    return await house.send()


def told(ledger: list[Delivery]) -> list[tuple[str, str, str | None]]:
    return [(delivery.user_id, delivery.state, delivery.reason) for delivery in ledger]


def said(twilio: TwilioServer) -> list[tuple[str, str]]:
    return [(sms.to, sms.body.split("\n")[0]) for sms in twilio.sent]


async def test_who_is_invited_reminded_and_accepted_is_told_once_of_each(
    house: House, world: World, clock: Clock, twilio: TwilioServer, invite_id: UUID
) -> None:
    assert await after(house, clock, seconds=119) == []
    assert told(await after(house, clock, seconds=2)) == [("ben", "accepted", None)]
    for _ in range(2):
        clock.forward(hours=1)
        await house.publish(world.remind(invite_id, clock.time))
        await after(house, clock, minutes=3)
    await house.publish(world.accept(invite_id, clock.time))
    ledger = await after(house, clock, minutes=3)
    assert said(twilio) == [
        (BEN.phone, "Ana invited you"),
        (BEN.phone, "The invitation from Ana still waits for your answer"),
        (BEN.phone, "The invitation from Ana still waits for your answer"),
        (ANA.phone, "Ben accepted your invitation"),
    ]
    assert {sms.body.split("\n")[1] for sms in twilio.sent} == {f"{PUBLIC_URL}/invites/{invite_id}"}
    assert [(d.category, d.from_seq, d.to_seq, d.message_count) for d in ledger] == [
        ("invites", 1, 1, 1),
        ("invites", 2, 2, 1),
        ("invites", 3, 3, 1),
        ("invites", 1, 1, 1),
    ]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("accepted", "answered"),
        ("declined", "answered"),
        ("revoked", "withdrawn"),
        ("expired", "withdrawn"),
    ],
)
async def test_of_what_has_ended_nobody_is_told(
    house: House, world: World, clock: Clock, twilio: TwilioServer, invite_id: UUID, status: str, reason: str
) -> None:
    world.invitations[invite_id].status = status
    assert told(await after(house, clock, minutes=3)) == [("ben", "suppressed", reason)]
    assert twilio.requests == []


async def test_what_ends_between_the_decision_and_the_call_is_not_sent(
    house: House, world: World, clock: Clock, twilio: TwilioServer, invite_id: UUID
) -> None:
    clock.forward(minutes=3)
    await house.decide()
    world.invitations[invite_id].status = "revoked"
    assert told(await house.send()) == [("ben", "suppressed", "withdrawn")]
    assert twilio.requests == []


async def test_what_was_put_off_is_one_alert_that_says_what_came_first(
    house: House, world: World, clock: Clock, twilio: TwilioServer, invite_id: UUID
) -> None:
    world.looking["ben"] = AT_A_DEVICE
    assert await after(house, clock, minutes=3) == []
    await house.publish(world.remind(invite_id, clock.time))
    world.looking.clear()
    [delivery] = await after(house, clock, minutes=3)
    assert (delivery.from_seq, delivery.to_seq, delivery.message_count) == (1, 2, 1)
    assert said(twilio) == [(BEN.phone, "Ana invited you")]


async def test_who_used_a_device_since_the_acceptance_needs_no_telling(
    house: House, world: World, clock: Clock, twilio: TwilioServer, invite_id: UUID
) -> None:
    await after(house, clock, minutes=3)
    await house.publish(world.accept(invite_id, clock.time))
    world.looking["ana"] = AT_A_DEVICE
    assert len(await after(house, clock, minutes=4)) == 1, "it may be that she went before it was accepted"
    assert told(await after(house, clock, minutes=2))[1:] == [("ana", "suppressed", "seen")]
    assert len(twilio.sent) == 1


async def test_heard_twice_late_and_out_of_order_it_is_told_of_once(
    house: House, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    created = world.invite("ana", "ben", clock.time)
    reminders = [world.remind(created.invite.id, clock.time) for _ in range(2)]
    await house.publish(reminders[1], created, reminders[0], reminders[1])
    [delivery] = await after(house, clock, minutes=3)
    assert (delivery.from_seq, delivery.to_seq) == (1, 3)
    await house.publish(created, *reminders)
    assert len(await after(house, clock, minutes=3)) == 1
    assert len(twilio.sent) == 1


async def test_without_its_memory_it_would_be_told_twice(
    house: House, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: what was alerted before isn't looked at. The ledger's chain objects."""
    created = world.invite("ana", "ben", clock.time)
    await house.publish(created)
    await after(house, clock, minutes=3)
    monkeypatch.setattr(alerts, "HEAR", alerts.HEAR.replace("WHERE excluded.to_seq > alert.alerted_to", ""))
    async with house.database.transaction() as tx:
        await tx.connection.execute("UPDATE notification_alerts SET alerted_to = 0")
        heard = domain.of_invites([created])
        await alerts.hear(tx.connection, heard, alerts.Delays({"sms": 0}))
    clock.forward(minutes=3)
    with pytest.raises(asyncpg.UniqueViolationError):
        await house.decide()


async def test_who_switched_invitations_off_still_hears_of_messages(
    house: House, world: World, clock: Clock, twilio: TwilioServer, invite_id: UUID
) -> None:
    await house.module.service.choose("ben", Preferences(categories=Categories(invites=False)))
    assert told(await after(house, clock, minutes=3)) == [("ben", "suppressed", "preferences")]
    channel = UUID(int=7)
    world.join(channel, ANA, BEN)
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    await after(house, clock, minutes=3)
    assert said(twilio) == [(BEN.phone, "You have a new message from Ana")]


async def test_both_kinds_are_decided_on_in_one_round(
    house: House, world: World, clock: Clock, twilio: TwilioServer, invite_id: UUID
) -> None:
    channel = UUID(int=7)
    world.join(channel, ANA, BEN)
    await house.publish(world.say(channel, "ana", occurred_at=clock.time), world.invite("ben", "ana", clock.time))
    await after(house, clock, minutes=3)
    assert sorted(said(twilio)) == [
        (ANA.phone, "Ben invited you"),
        (BEN.phone, "Ana invited you"),
        (BEN.phone, "You have a new message from Ana"),
    ]


async def test_the_ledger_and_its_event_show_neither_channel_nor_seqs(
    house: House, clock: Clock, invite_id: UUID
) -> None:
    heard: list[DeliveryChanged] = []
    house.bus.on(DeliveryChanged, heard.append)
    [delivery] = await after(house, clock, minutes=3)
    told: list[Any] = [delivery_out(delivery), *heard]
    for shown in told:
        assert (shown.category, shown.channel_id, shown.from_seq, shown.to_seq) == ("invites", None, None, None)
    assert [event.state for event in heard] == ["pending", "sending", "accepted"]


async def test_it_is_explained(house: House, world: World, clock: Clock, invite_id: UUID) -> None:
    async def sms_of(user_id: str) -> str:
        lines = await house.module.explaining.lines(user_id, invite_id, "invites")
        return "\n".join(lines).partition("SMS: ")[2].partition("e-mail: ")[0]

    assert (await sms_of("ben")).startswith("of news of the invitation 1 to 1 the person isn't told yet")
    assert "ok: the invitation waits for their answer" in await sms_of("ben")
    await after(house, clock, minutes=3)
    shown = await sms_of("ben")
    assert shown.startswith("no alert is open; of the next word of it the person would be told now")
    assert "news of the invitation 1 to 1: accepted" in shown
    world.accept(invite_id, clock.time)
    assert "is never told (answered: the invitation was answered)" in await sms_of("ben")
    assert "would be told now" in await sms_of("ana")


async def test_nothing_of_it_reaches_the_log(house: House, world: World, clock: Clock) -> None:
    logged = io.StringIO()
    logging.configure("debug", to=logged)
    await house.publish(world.invite("ana", "ben", clock.time))
    await after(house, clock, minutes=3)
    assert not [secret for secret in ("a secret text", BEN.phone or "", "Ana") if secret in logged.getvalue()]


@pytest.fixture
async def forgetful(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> AsyncIterator[House]:
    """A house that keeps its ledger for a month."""
    more = twilio.settings() | {"deliveries_kept_days": 30.0}
    house = House(database, msgspec.structs.replace(settings, **more), world, clock)
    yield house
    await house.module.stop()


async def test_of_what_is_old_nothing_is_kept(forgetful: House, world: World, clock: Clock) -> None:
    event = world.invite("ana", "ben", clock.time)
    await forgetful.publish(event)
    await after(forgetful, clock, minutes=3)
    await forgetful.publish(world.remind(event.invite.id, clock.time))
    await after(forgetful, clock, minutes=3)
    clock.forward(days=29)
    await trim(forgetful)
    assert len(await forgetful.ledger()) == 2
    assert await forgetful.alert("ben", event.invite.id) == (2, None, 0)
    clock.forward(days=2)
    await trim(forgetful)
    assert await forgetful.ledger() == []
    async with forgetful.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM notification_alerts") == 0
