"""A provider that fails is put aside, for all instances, and comes back by one delivery that goes ahead."""

from datetime import timedelta
from uuid import UUID

import pytest

from kernel.settings import Settings
from modules.notifications import breaker
from modules.notifications.domain.circuit import THRESHOLD
from modules.notifications.domain.delivery import Delivery
from modules.notifications.store import circuits
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.crowd import crowd, houses, write_and_wait
from tests.modules.notifications.world import World
from tests.support.twilio_server import TwilioServer, accept, break_down, refuse

OVERLOADED = refuse(429, 20429)
HOLDS_IN_AN_HOUR = 12
"""15, 30, 60, 120, 240 and 480 s, then every ten minutes, each a quarter shorter at the least."""

pytestmark = pytest.mark.usefixtures("even_pace")


@pytest.fixture
def even_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jitter: the times below are exact."""
    monkeypatch.setattr(breaker, "jitter", lambda: 1.0)


@pytest.fixture
async def waiting(house: House, world: World, clock: Clock) -> list[UUID]:
    """The channels of thirty people, each with a delivery that is due."""
    channels = crowd(world, 30)
    await write_and_wait(house, world, clock, *channels)
    return channels


def states(ledger: list[Delivery]) -> dict[str, int]:
    found: dict[str, int] = {}
    for delivery in ledger:
        found[delivery.state] = found.get(delivery.state, 0) + 1
    return found


async def an_hour(house: House, clock: Clock) -> None:
    """Let the worker look every five seconds."""
    for _ in range(720):
        await house.send()
        clock.forward(seconds=5)


@pytest.mark.usefixtures("waiting")
async def test_a_provider_that_only_fails_is_asked_a_dozen_times_an_hour(
    house: House, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.default = OVERLOADED
    await an_hour(house, clock)
    assert THRESHOLD < len(twilio.requests) <= THRESHOLD + HOLDS_IN_AN_HOUR
    assert states(await house.ledger()) == {"pending": 30}, "nothing dies of it"

    twilio.default = accept
    clock.forward(minutes=10)
    asked = len(twilio.requests)
    assert states(await house.send()) == {"pending": 29, "accepted": 1}, "one goes ahead"
    assert states(await house.send()) == {"accepted": 30}, "the others follow"
    assert len(twilio.requests) == asked + 30
    assert len({sms.delivery_id for sms in twilio.sent}) == 30


@pytest.mark.usefixtures("waiting")
async def test_without_it_the_provider_would_be_hammered(
    house: House, clock: Clock, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: nobody learns from what calls come to."""

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(breaker.Breaker, "note", nothing)
    twilio.default = OVERLOADED
    for _ in range(6):
        await house.send()
        clock.forward(seconds=11)
    assert len(twilio.requests) == 30 * 4
    assert states(await house.ledger()) == {"dead": 30}


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("status", [500, 503])
async def test_what_nobody_knows_of_counts_and_is_never_repeated(
    house: House, clock: Clock, twilio: TwilioServer, status: int
) -> None:
    twilio.default = break_down(taken=False, status=status)
    await house.send()
    assert states(await house.ledger()) == {"unknown": THRESHOLD, "pending": 30 - THRESHOLD}
    clock.forward(seconds=14)
    await house.send()
    assert len(twilio.requests) == THRESHOLD
    twilio.default = accept
    clock.forward(seconds=2)
    await house.send()
    await house.send()
    assert states(await house.ledger()) == {"unknown": THRESHOLD, "accepted": 30 - THRESHOLD}


@pytest.mark.usefixtures("waiting")
async def test_no_connection_is_a_failure_too(house: House, clock: Clock, twilio: TwilioServer) -> None:
    address = int(twilio.url.rpartition(":")[2])
    await twilio.stop()
    for _ in range(30):
        await house.send()
        clock.forward(seconds=10)
    assert states(await house.ledger()) == {"pending": 30}
    await twilio.start(address)
    clock.forward(minutes=10)
    await house.send()
    assert states(await house.send()) == {"accepted": 30}


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize(("retry_after", "held_s"), [("90", 90), ("100000", 3600)])
async def test_a_provider_that_says_when_to_come_back_is_believed(
    house: House, clock: Clock, twilio: TwilioServer, retry_after: str, held_s: int
) -> None:
    twilio.script.append(refuse(429, 20429, retry_after=retry_after))
    began = clock.time
    ledger = await house.send()
    assert len(twilio.requests) == 1
    [refused] = [d for d in ledger if d.reason == "twilio_20429"]
    assert (refused.state, refused.failures) == ("pending", 0)
    assert abs(refused.due_at - began - timedelta(seconds=held_s)) < timedelta(seconds=1)


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("retry_after", ["Fri, 27 Nov 2026 23:00:00 GMT", "-5", "soon", "", "0", "1e9", "٣"])
async def test_what_else_it_may_say_is_left_aside(
    house: House, clock: Clock, twilio: TwilioServer, retry_after: str
) -> None:
    twilio.script.append(refuse(429, 20429, retry_after=retry_after.encode().decode("latin-1")))
    assert states(await house.send()) == {"pending": 1, "accepted": 29}


@pytest.mark.usefixtures("waiting")
async def test_refusals_of_single_messages_say_nothing_of_the_provider(
    house: House, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.script.extend([OVERLOADED, OVERLOADED, refuse(400, 21211), OVERLOADED, OVERLOADED, refuse(400, 30450)])
    await house.send()
    assert len(twilio.requests) == 30


async def test_only_one_goes_ahead_over_all_instances(
    dsn: str, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    async with houses(dsn, settings, world, clock, twilio, count=3) as [one, two, three]:
        await write_and_wait(one, world, clock, *crowd(world, 30))
        twilio.default = OVERLOADED
        await one.send()
        assert len(twilio.requests) == THRESHOLD
        for other in (two, three):
            await other.send()
        assert len(twilio.requests) == THRESHOLD, "held for all"
        clock.forward(seconds=15)
        claims = [await each.module.delivery_worker.claim(10) for each in (one, two, three)]
        assert [len(claim) for claim in claims] == [1, 0, 0]


@pytest.mark.usefixtures("waiting")
async def test_if_who_goes_ahead_has_nothing_to_say_another_does(
    house: House, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.default = OVERLOADED
    await house.send()
    twilio.default = accept
    clock.forward(seconds=15)
    [ahead] = await house.module.delivery_worker.claim(10)
    assert ahead.thread_id is not None
    world.read_to[ahead.user_id, ahead.thread_id] = 1
    await house.module.delivery_worker.deliver(ahead)
    assert states(await house.send()) == {"pending": 28, "suppressed": 1, "accepted": 1}


@pytest.mark.usefixtures("waiting")
async def test_if_who_goes_ahead_dies_another_does_after_its_lease(
    house: House, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.default = OVERLOADED
    await house.send()
    twilio.default = accept
    clock.forward(seconds=15)
    [ahead] = await house.module.delivery_worker.claim(10)
    assert await house.module.delivery_worker.begin(ahead) is not None
    await house.send()
    assert len(twilio.sent) == 0
    clock.forward(seconds=61)
    await house.send()
    assert states(await house.send()) == {"unknown": 1, "accepted": 29}


@pytest.mark.usefixtures("waiting")
async def test_what_was_claimed_before_the_hold_waits_too(house: House, twilio: TwilioServer) -> None:
    twilio.default = OVERLOADED
    claimed = await house.module.delivery_worker.claim(100)
    for delivery in claimed:
        await house.module.delivery_worker.deliver(delivery)
    assert len(twilio.requests) == THRESHOLD
    assert {d.reason for d in await house.ledger()} == {"twilio_20429", "on_hold"}


@pytest.mark.usefixtures("waiting")
async def test_a_restart_doesnt_make_it_forgotten(house: House, clock: Clock, twilio: TwilioServer) -> None:
    twilio.default = OVERLOADED
    await house.send()
    async with house.database.transaction() as tx:
        await circuits.resume(tx.connection, ["sms"], clock())
    await house.send()
    assert len(twilio.requests) == THRESHOLD


def test_the_jitter_is_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    drawn = {breaker.jitter() for _ in range(100)}
    assert len(drawn) > 50
    assert all(0.75 <= factor <= 1.25 for factor in drawn)
