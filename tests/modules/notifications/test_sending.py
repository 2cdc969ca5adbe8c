"""From an alert to an SMS and what the provider says: each outcome, and what is learnt from it."""

import io
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from kernel.database import Database
from kernel.settings import Settings
from kernel.telemetry import logging
from modules.identity.events import UserDeactivated
from modules.notifications.domain.preferences import Channels, Preferences
from modules.notifications.events import DeliveryChanged
from tests.modules.notifications.conftest import PUBLIC_URL, Clock, House
from tests.modules.notifications.world import Person, World
from tests.support.twilio_server import TwilioServer, accept, break_down, refuse

BUSY = refuse(429, 20429)
LATER = refuse(400, 30450)
"""It can't take this message for now; of others that says nothing."""


@pytest.fixture
async def channel(house: House, world: World, clock: Clock) -> UUID:
    """A channel in which Ana has written to Bo, so that an alert is due."""
    channel = uuid4()
    world.join(channel, Person("ana", phone="+4915100000001"), Person("bo"))
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    await house.decide()
    return channel


async def one_more(house: House, world: World, clock: Clock, channel: UUID) -> str:
    """Let Ana write once more, and its delay pass; returns the state that the new delivery comes to."""
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    await house.decide()
    last = (await house.send())[-1]
    return f"{last.state} {last.reason}" if last.reason else last.state


async def test_one_sms_for_many_messages(house: House, world: World, clock: Clock, twilio: TwilioServer) -> None:
    channel = uuid4()
    world.join(channel, *(Person(name, phone=f"+491511234567{n}") for n, name in enumerate(("ana", "bo", "cy", "di"))))
    await house.publish(
        *(world.say(channel, name, occurred_at=clock.time) for name in ("cy", "di", "ana", "ana", "ana"))
    )
    world.read_to = {(name, channel): 5 for name in ("ana", "cy", "di")}
    clock.forward(minutes=3)
    await house.decide()
    await house.send()
    [sms] = twilio.sent
    assert sms.to == world.people["bo"].phone
    assert sms.body == (f"You have 5 new messages from Ana and 2 others\n{PUBLIC_URL}/channels/{channel}")
    assert "secret" not in sms.body
    assert sms.form["ValidityPeriod"] == "1800"


async def test_it_tells_how_many_are_unread_when_it_is_sent(
    house: House, world: World, channel: UUID, twilio: TwilioServer
) -> None:
    world.say(channel, "ana")  # not yet heard of, so not in this range
    [delivery] = await house.send()
    assert (delivery.state, delivery.message_count, delivery.attempts) == ("accepted", 1, 1)
    assert delivery.provider_id == twilio.sent[0].sid
    assert twilio.sent[0].body.startswith("You have a new message from Ana\n")


async def test_the_decision_is_made_again_right_before_sending(
    house: House, world: World, channel: UUID, twilio: TwilioServer
) -> None:
    world.read_to["bo", channel] = 1
    [delivery] = await house.send()
    assert (delivery.state, delivery.reason, twilio.requests) == ("suppressed", "read", [])


async def test_quiet_hours_that_began_meanwhile_put_it_off(
    house: House, world: World, channel: UUID, clock: Clock, twilio: TwilioServer
) -> None:
    clock.forward(hours=8)  # 22:03 in Berlin
    [delivery] = await house.send()
    assert (delivery.state, twilio.requests) == ("pending", [])
    clock.forward(hours=10)
    assert [d.state for d in await house.send()] == ["pending"]
    clock.forward(hours=1)
    assert [d.state for d in await house.send()] == ["accepted"]


async def test_what_cant_be_taken_now_is_tried_again_after_2_4_and_8_seconds(
    house: House, channel: UUID, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.default = LATER
    for wait_s in (2, 4, 8):
        [delivery] = await house.send()
        rest = delivery.due_at - clock.time
        assert timedelta(seconds=wait_s * 0.74) < rest < timedelta(seconds=wait_s * 1.26)
        assert await house.send() == [delivery], "not before it is due"
        clock.forward(seconds=wait_s * 1.26)
    [delivery] = await house.send()
    assert (delivery.state, delivery.reason, delivery.attempts) == ("dead", "twilio_30450", 4)
    clock.forward(hours=1)
    await house.send()
    assert len(twilio.requests) == 4


async def test_a_replayed_delivery_passes_the_same_gates(
    house: House, world: World, channel: UUID, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.script.extend([LATER] * 4)
    for _ in range(4):
        clock.forward(seconds=11)
        [dead] = await house.send()
    await house.module.service.replay(dead.id)
    assert [d.state for d in await house.send()] == ["accepted"]
    twilio.script.extend([LATER] * 4)
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    await house.decide()
    for _ in range(4):
        clock.forward(seconds=11)
        _, dead = await house.send()
    world.read_to["bo", channel] = 2
    await house.module.service.replay(dead.id)
    assert [(d.state, d.reason) for d in await house.send()] == [("accepted", None), ("suppressed", "read")]


async def test_what_isnt_known_is_never_repeated_and_its_report_resolves_it(
    house: House, channel: UUID, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.script.append(break_down(taken=True))
    [delivery] = await house.send()
    assert (delivery.state, delivery.reason, delivery.provider_id) == ("unknown", "http_500", None)
    clock.forward(hours=1)
    await house.send()
    assert len(twilio.requests) == 1
    await house.reported(twilio.sent[0], "sent")
    await house.reported(twilio.sent[0], "delivered")
    [delivery] = await house.ledger()
    assert (delivery.state, delivery.reason, delivery.provider_id) == ("delivered", None, twilio.sent[0].sid)


@pytest.mark.parametrize(
    ("code", "reason"), [(21211, "invalid_address"), (21614, "invalid_address"), (21610, "opted_out")]
)
async def test_a_number_that_cant_be_used_is_not_tried_again_until_it_changes(
    house: House, world: World, channel: UUID, clock: Clock, twilio: TwilioServer, code: int, reason: str
) -> None:
    twilio.script.append(refuse(400, code))
    [delivery] = await house.send()
    assert (delivery.state, delivery.reason) == ("failed", f"twilio_{code}")
    assert await one_more(house, world, clock, channel) == f"suppressed {reason}"
    world.people["bo"].phone = "+4915187654321"
    assert await one_more(house, world, clock, channel) == "accepted"
    assert len(twilio.requests) == 2


@pytest.mark.parametrize(("status", "code"), [(401, 20003), (400, 21606)])
async def test_a_fault_of_configuration_holds_everything_back_and_burns_nothing(
    house: House, world: World, channel: UUID, clock: Clock, twilio: TwilioServer, status: int, code: int
) -> None:
    twilio.script.append(refuse(status, code))
    [delivery] = await house.send()
    assert (delivery.state, delivery.reason, delivery.failures) == ("pending", f"twilio_{code}", 0)
    for _ in range(3):
        await house.publish(world.say(channel, "ana", occurred_at=clock.time))
        clock.forward(minutes=1)
        await house.decide()
        await house.send()
    assert len(twilio.requests) == 1
    assert await house.alert("bo", channel) == (1, 4, 3), "meanwhile messages gather in one alert"
    clock.forward(minutes=5)
    await house.decide()
    assert [(d.state, d.from_seq, d.to_seq) for d in await house.send()] == [("accepted", 1, 1), ("pending", 2, 4)]
    assert [d.state for d in await house.send()] == ["accepted", "accepted"], "one goes ahead, the others follow"


async def test_a_restart_tries_at_once_what_was_held_back(house: House, channel: UUID, twilio: TwilioServer) -> None:
    twilio.script.append(refuse(401, 20003))
    await house.send()
    assert [d.state for d in await house.send()] == ["pending"]
    await house.module.start()
    await house.module.stop()
    assert [d.state for d in await house.send()] == ["accepted"]


async def test_what_a_person_chose_counts(house: House, world: World, channel: UUID, clock: Clock) -> None:
    await house.send()
    await house.module.service.choose("bo", Preferences(channels=Channels(sms=False)))
    assert await one_more(house, world, clock, channel) == "suppressed preferences"
    await house.module.service.choose("bo", Preferences(paused_until=clock.time + timedelta(minutes=10)))
    assert await one_more(house, world, clock, channel) == "suppressed preferences", "it is put off: no new row"
    clock.forward(minutes=10)
    assert await one_more(house, world, clock, channel) == "accepted"


async def test_choices_are_forgotten_with_the_person(house: House, clock: Clock) -> None:
    service = house.module.service
    defaults = await service.preferences("bo")
    await service.choose("bo", Preferences(paused_until=clock.time))
    await house.publish(UserDeactivated(user_id="bo"))
    assert await service.preferences("bo") == defaults


async def test_every_change_is_published(
    house: House, world: World, channel: UUID, clock: Clock, twilio: TwilioServer
) -> None:
    changes: list[tuple[str, str | None]] = []
    house.bus.on(DeliveryChanged, lambda event: changes.append((event.state, event.reason)))
    twilio.script.extend([BUSY, accept])
    await house.send()
    clock.forward(seconds=5)
    await house.send()
    await house.reported(twilio.sent[0], "delivered")
    await house.reported(twilio.sent[0], "delivered")
    assert changes == [
        ("sending", None),
        ("pending", "twilio_20429"),
        ("sending", None),
        ("accepted", None),
        ("delivered", None),
    ]


async def test_without_twilio_development_prints_and_production_is_off(
    database: Database, settings: Settings, world: World, clock: Clock
) -> None:
    printed, logged = io.StringIO(), io.StringIO()
    logging.configure("info", to=logged)
    production = msgspec.structs.replace(settings, env="production")
    channel = uuid4()
    world.join(channel, Person("ana"), Person("bo"))
    states = []
    for chosen in (settings, production):
        house = House(database, chosen, world, clock, console=printed)
        await house.publish(world.say(channel, "ana", occurred_at=clock.time))
        clock.forward(minutes=3)
        await house.decide()
        states.append((await house.send())[-1])
        await house.module.start()
        await house.module.stop()
    assert [(d.state, d.from_seq, d.to_seq) for d in states] == [("accepted", 1, 1)] * 2, "in production, no new row"
    assert printed.getvalue().count("You have a new message from Ana") == 1
    assert logged.getvalue().count("sms_off") == 1
    assert logged.getvalue().count("no_default_time_zone") == 2


async def test_logs_hold_no_number_and_no_text(
    house: House, world: World, channel: UUID, clock: Clock, twilio: TwilioServer
) -> None:
    logged = io.StringIO()
    logging.configure("debug", to=logged)
    for behaviour in (BUSY, refuse(400, 21211), refuse(401, 20003), break_down(taken=True)):
        twilio.script.append(behaviour)
        clock.forward(minutes=6)
        world.people["bo"].phone = f"+49151876543{len(twilio.requests):02}"
        await one_more(house, world, clock, channel)
        for sms in twilio.sent:
            await house.reported(sms, "undelivered", code="30005")
    assert logged.getvalue().count("delivery_fault") >= 4
    for secret in ("+49", "49151", "Ana", "new message", "secret"):
        assert secret not in logged.getvalue()
