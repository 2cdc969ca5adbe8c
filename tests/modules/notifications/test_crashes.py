"""A crash at every step of an alert and its SMS, with every answer of the provider, in one process.

The steps are where a process can die with something half done: before and after each commit, and before, during and
after the provider's call. Crashing there is done from outside, by the database and the transport that the module is
given. What then is left behind is taken up by the next module, after its leases have run out.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID, uuid4

import msgspec
import pytest

from kernel.database import Database
from kernel.settings import Settings
from modules.notifications.delivery_worker import DeliveryWorker
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.outcomes import Accepted
from modules.notifications.store import deliveries as rows
from modules.notifications.transports import Transport
from tests.modules.notifications.checker import contradictions, doubles, misranged, open_alerts, unfinished
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.crashing import (
    CallsBeforeItCommits,
    ForgetsWhatItClaimed,
    RepeatsWhatItDoesntKnow,
    house_of,
    named,
)
from tests.modules.notifications.world import message
from tests.support.crashing import Crash, CrashingDatabase, CrashingTransport, Fuse
from tests.support.twilio_server import Behaviour, TwilioServer, accept, break_down, cut_off, hang, refuse

STEPS = 14
"""Two around each of six commits, and two around the call. `test_every_step_is_reached` holds it to that."""

BEHAVIOURS: dict[str, Behaviour] = {
    "accepts": accept,
    "is busy": refuse(429, 20429),
    "refuses": refuse(400, 21617),
    "fails, taken": break_down(taken=True),
    "fails, not taken": break_down(taken=False),
    "hangs, taken": hang(taken=True),
    "resets, taken": cut_off(taken=True),
    "resets, not taken": cut_off(taken=False, midway=False),
}


class Bench:
    """One database and one provider, and modules that live and die on them."""

    def __init__(self, database: Database, settings: Settings, twilio: TwilioServer, transport: str) -> None:
        self.database, self.twilio, self.clock = database, twilio, Clock()
        self._settings = msgspec.structs.replace(
            settings, default_quiet_hours="00:00-00:00", email_delay_s=120, **twilio.settings()
        )
        self.provider = named(transport, twilio.url, timeout_s=0.03)
        self.people: list[tuple[str, UUID]] = []
        self.worker: type[DeliveryWorker] = DeliveryWorker

    async def live(self, fuse: Fuse) -> None:
        """Let a module do all that is due, until it is done or dies."""
        house = self.house(CrashingDatabase(self.database, fuse), CrashingTransport(self.provider, fuse), self.worker)
        with suppress(Crash):
            await house.decide()
            await house.send()

    def house(
        self,
        database: Database | None = None,
        transport: Transport | None = None,
        worker: type[DeliveryWorker] = DeliveryWorker,
    ) -> House:
        """Return a house on this database and provider."""
        transports = {self.provider.name: transport or self.provider}
        return house_of(database or self.database, self._settings, self.clock, transports, worker)

    async def somebody_is_written_to(self) -> None:
        """Let a message be heard, and its delay pass."""
        user_id, channel = f"user-{len(self.people)}", uuid4()
        self.people.append((user_id, channel))
        await self.house().publish(message(channel, 1, "ana", [user_id], occurred_at=self.clock.time))
        self.clock.forward(minutes=3)

    async def settle_down(self, *, rounds: int = 4) -> None:
        """Let time pass and healthy modules work, until there is nothing left to do."""
        for _ in range(rounds):
            self.clock.forward(minutes=2)
            await self.live(Fuse(None))

    async def ledger(self) -> list[Delivery]:
        """Return all deliveries."""
        async with self.database.connection() as connection:
            return await rows.listing(connection, user_id=None, state=None, before=None, limit=100_000)

    async def faults(self) -> list[str]:
        """Return all that is wrong."""
        ledger, sent = await self.ledger(), self.twilio.sent
        found = doubles(sent) + contradictions(ledger, sent) + unfinished(ledger)
        found += misranged(ledger, 1, self.people)
        return found + (["alerts are still open"] if await open_alerts(self.database) else [])


@pytest.fixture
async def bench(
    request: pytest.FixtureRequest, database: Database, settings: Settings, twilio: TwilioServer
) -> AsyncIterator[Bench]:
    bench = Bench(database, settings, twilio, getattr(request, "param", "sms"))
    yield bench
    await bench.provider.close()


async def test_every_step_is_reached(bench: Bench) -> None:
    """The loops below really crash everywhere: a fuse of that many steps burns down, and a longer one doesn't."""
    for steps, crashes in ((STEPS - 1, True), (STEPS, False)):
        await bench.somebody_is_written_to()
        fuse = Fuse(steps)
        await bench.live(fuse)
        assert (fuse.left == -1) is crashes
        await bench.settle_down()


@pytest.mark.parametrize(
    "bench",
    ["sms", pytest.param("push", marks=pytest.mark.long), pytest.param("email", marks=pytest.mark.long)],
    indirect=True,
)
async def test_no_crash_sends_twice_or_loses_an_alert(bench: Bench) -> None:
    """Each step with each answer; then pairs of crashes, the second in the module that cleans up after the first."""
    single = [(behaviour, [step]) for behaviour in BEHAVIOURS for step in range(STEPS)]
    double = [("accepts", list(pair)) for pair in itertools.product(range(STEPS), range(1, STEPS, 2))]
    for behaviour, steps in single + double:
        await bench.somebody_is_written_to()
        bench.twilio.script.append(BEHAVIOURS[behaviour])
        for step in steps:
            await bench.live(Fuse(step))
            bench.clock.forward(minutes=2)
        bench.twilio.script.clear()
        await bench.settle_down(rounds=1)
    assert len(bench.people) == len(single) + len(double) >= 200
    assert await bench.faults() == []
    await everything_is_reported(bench)


async def everything_is_reported(bench: Bench) -> None:
    """The signed callbacks of what was made resolve every delivery that was in doubt; the rest was never sent."""
    house = bench.house()
    doubtful = {d.id for d in await bench.ledger() if d.state == "unknown"}
    made = {sms.delivery_id: sms for sms in bench.twilio.sent}
    assert doubtful & made.keys()
    assert doubtful - made.keys()
    for delivery_id in doubtful & made.keys():
        await house.reported(made[delivery_id], "delivered")
    assert {d.id for d in await bench.ledger() if d.state == "unknown"} == doubtful - made.keys()


@pytest.mark.parametrize(
    ("worker", "finds"),
    [
        (RepeatsWhatItDoesntKnow, "was sent 2 times"),
        (CallsBeforeItCommits, "was sent 2 times"),
        (ForgetsWhatItClaimed, "is still"),
        (DeliveryWorker, None),
    ],
)
async def test_the_checker_catches_broken_workers(
    bench: Bench, worker: type[DeliveryWorker], finds: str | None
) -> None:
    bench.worker = worker
    for step in range(STEPS):
        await bench.somebody_is_written_to()
        await bench.live(Fuse(step))
        await bench.settle_down()
    faults = await bench.faults()
    assert any(finds in fault for fault in faults) if finds else faults == []


async def test_a_worker_that_was_taken_for_dead_sends_nothing(bench: Bench) -> None:
    """It claimed, slept past its lease, and wakes up when another has claimed and sent."""
    await bench.somebody_is_written_to()
    slow, quick = bench.house(), bench.house()
    await slow.decide()
    [mine] = await slow.module.delivery_worker.claim(1)
    bench.clock.forward(minutes=2)
    await quick.send()
    await slow.module.delivery_worker.deliver(mine)
    assert len(bench.twilio.requests) == 1
    assert [d.state for d in await bench.ledger()] == ["accepted"]


async def test_an_answer_that_comes_after_the_lease_still_counts(bench: Bench) -> None:
    await bench.somebody_is_written_to()
    house = bench.house()
    await house.decide()
    [mine] = await house.module.delivery_worker.claim(1)
    begun = await house.module.delivery_worker.begin(mine)
    assert begun is not None
    bench.clock.forward(minutes=2)
    await house.module.delivery_worker.take_up()
    assert [(d.state, d.reason) for d in await bench.ledger()] == [("unknown", "worker_lost")]
    await house.module.delivery_worker.settle(begun, Accepted("SM1"))
    assert [(d.state, d.provider_id) for d in await bench.ledger()] == [("accepted", "SM1")]
