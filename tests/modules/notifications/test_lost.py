"""SMS that a signed report says were lost on the way: at most one new attempt, and only if it is still wanted."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from modules.notifications import service
from modules.notifications.domain.delivery import Delivery, tried_again
from tests.modules.notifications.checker import misranged
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.crowd import crowd, write_and_wait
from tests.modules.notifications.world import World
from tests.support.twilio_server import Sms, TwilioServer, refuse

pytestmark = pytest.mark.usefixtures("at")
LOST = (30001, 30003, 30008, 30036, 30450)


@pytest.fixture
async def channel(house: House, world: World, clock: Clock, twilio: TwilioServer) -> UUID:
    """A channel about which Twilio accepted an SMS."""
    [channel] = crowd(world, 1)
    await write_and_wait(house, world, clock, channel)
    await house.send()
    assert len(twilio.sent) == 1
    return channel


async def lost(house: House, twilio: TwilioServer, sms: Sms, code: int, status: str = "undelivered") -> str:
    """Let Twilio report it lost; returns the state of the delivery."""
    assert await twilio.report(sms, status, code=code) == 204
    [delivery] = await house.ledger()
    return delivery.state


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("code", LOST)
@pytest.mark.parametrize("status", ["undelivered", "failed"])
async def test_it_is_tried_once_more_after_a_while_and_no_third_time(
    house: House, clock: Clock, twilio: TwilioServer, code: int, status: str
) -> None:
    assert await lost(house, twilio, twilio.sent[0], code, status) == "pending"
    clock.forward(minutes=5)
    await house.send()
    assert len(twilio.sent) == 1
    clock.forward(minutes=10)
    [delivery] = await house.send()
    assert (delivery.state, delivery.attempts, delivery.provider_id) == ("accepted", 2, twilio.sent[1].sid)
    assert await lost(house, twilio, twilio.sent[1], code, status) == status
    clock.forward(hours=1)
    await house.send()
    assert len(twilio.sent) == 2


async def test_what_was_read_meanwhile_isnt_sent_again(
    house: House, world: World, clock: Clock, channel: UUID, twilio: TwilioServer
) -> None:
    await lost(house, twilio, twilio.sent[0], 30003)
    world.read_to["user-0", channel] = 1
    clock.forward(minutes=15)
    assert [(d.state, d.reason) for d in await house.send()] == [("suppressed", "read")]
    assert len(twilio.sent) == 1


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("when", ["before", "while", "after"])
async def test_what_arrived_after_all_isnt_sent_again(
    house: House, clock: Clock, twilio: TwilioServer, when: str
) -> None:
    first = twilio.sent[0]
    await lost(house, twilio, first, 30003)
    clock.forward(minutes=15)
    worker = house.module.delivery_worker
    if when == "before":
        await twilio.report(first, "delivered")
        await house.send()
    elif when == "while":
        [claimed] = await worker.claim(1)
        await twilio.report(first, "delivered")
        await worker.deliver(claimed)
    else:
        await house.send()
        await twilio.report(first, "delivered")
    assert len(twilio.sent) == (2 if when == "after" else 1)
    [delivery] = await house.ledger()
    assert (delivery.state, delivery.provider_id) == ("delivered", first.sid)


@pytest.mark.usefixtures("channel")
async def test_late_and_repeated_reports_of_the_lost_one_change_nothing(
    house: House, clock: Clock, twilio: TwilioServer
) -> None:
    first = twilio.sent[0]
    for _ in range(3):
        assert await lost(house, twilio, first, 30003) == "pending"
    assert await lost(house, twilio, first, 30005, "failed") == "pending"
    assert await twilio.report(first, "sent") == 204
    clock.forward(minutes=15)
    assert [d.state for d in await house.send()] == ["accepted"]
    for status in ("sent", "undelivered", "failed"):
        assert await lost(house, twilio, first, 30003, status) == "accepted"


async def test_the_chain_of_ranges_stays_as_it_was(
    house: House, world: World, clock: Clock, channel: UUID, twilio: TwilioServer
) -> None:
    await write_and_wait(house, world, clock, channel)
    await house.send()
    await twilio.report(twilio.sent[0], "undelivered", code=30003)
    clock.forward(minutes=15)
    ledger = await house.send()
    assert [(d.from_seq, d.to_seq, d.state, d.attempts) for d in ledger] == [
        (1, 1, "accepted", 2),
        (2, 2, "accepted", 1),
    ]
    assert misranged(ledger, 2, [("user-0", channel)]) == []


@pytest.mark.usefixtures("channel")
async def test_a_new_attempt_that_is_refused_goes_the_way_of_all_refusals(
    house: House, clock: Clock, twilio: TwilioServer
) -> None:
    await lost(house, twilio, twilio.sent[0], 30003)
    clock.forward(minutes=15)
    twilio.script.append(refuse(400, 21610))
    assert [(d.state, d.reason) for d in await house.send()] == [("failed", "twilio_21610")]


@pytest.mark.usefixtures("channel")
async def test_without_a_memory_of_the_lost_one_it_would_go_on_for_ever(
    house: House, clock: Clock, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: every report of a loss is taken for the first."""

    def forgetful(delivery: Delivery, *what: Any) -> Delivery | None:
        return tried_again(msgspec.structs.replace(delivery, lost_attempt=0), *what)

    monkeypatch.setattr(service, "tried_again", forgetful)
    for _ in range(3):
        await twilio.report(twilio.sent[-1], "undelivered", code=30003)
        clock.forward(minutes=15)
        await house.send()
    assert len(twilio.sent) == 4
