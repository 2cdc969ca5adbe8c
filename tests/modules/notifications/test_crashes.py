"""A crash at every step of an alert and its SMS, with every answer of the provider, in one process.

The steps are where a process can die with something half done: before and after each commit, and before, during and
after the provider's call. Crashing there is done from outside, by the database and the transport that the module is
given. What then is left behind is taken up by the next module, after its leases have run out.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import msgspec
import pytest

from kernel.database import Database, Transaction
from kernel.settings import Settings
from modules.notifications.delivery_worker import DeliveryWorker
from modules.notifications.domain.delivery import Delivery, move
from modules.notifications.domain.outcomes import Accepted, Outcome
from modules.notifications.store import deliveries as rows
from modules.notifications.transports import Outgoing, Target, Transport, Words
from modules.notifications.transports.twilio import TwilioSms
from tests.modules.notifications.checker import contradictions, doubles, misranged, open_alerts, unfinished
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.world import EndlessUnread, message
from tests.support.twilio_server import (
    ACCOUNT,
    SENDER,
    TOKEN,
    Behaviour,
    TwilioServer,
    accept,
    break_down,
    cut_off,
    hang,
    refuse,
)

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


class Crash(BaseException):
    """The process dies here."""


class Fuse:
    """Burns one step at a time, and crashes at the last."""

    def __init__(self, steps: int | None) -> None:
        self.left = steps

    def burn(self) -> None:
        """Come to a step."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash


class CrashingDatabase(Database):
    """A database during whose commits the process may die: before they happen, or after."""

    def __init__(self, real: Database, fuse: Fuse) -> None:
        self.pool, self.reserved, self.engine, self._fuse = real.pool, real.reserved, real.engine, fuse

    @asynccontextmanager
    async def transaction(self, *, reserved: bool = False) -> AsyncIterator[Transaction]:
        """Run a transaction, with a step before and after its commit."""
        async with super().transaction(reserved=reserved) as tx:
            yield tx
            self._fuse.burn()
        self._fuse.burn()


class CrashingTransport:
    """A transport during whose calls the process may die: before the request, or once it was answered."""

    name = "sms"

    def __init__(self, real: Transport, fuse: Fuse) -> None:
        self._real, self._fuse = real, fuse

    async def send(self, message: Outgoing) -> Outcome:
        """Send, with a step before and after."""
        self._fuse.burn()
        outcome = await self._real.send(message)
        self._fuse.burn()
        return outcome

    async def close(self) -> None:
        """Close."""
        await self._real.close()


class Bench:
    """One database and one provider, and modules that live and die on them."""

    def __init__(self, database: Database, settings: Settings, twilio: TwilioServer) -> None:
        self.database, self.twilio, self.clock = database, twilio, Clock()
        self._settings = msgspec.structs.replace(settings, default_quiet_hours="00:00-00:00")
        self.sms = TwilioSms(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            public_url="https://parley.example",
            sender=SENDER,
            api_url=twilio.url,
            timeout_s=0.03,
        )
        self.people: list[tuple[str, UUID]] = []
        self.worker: type[DeliveryWorker] = DeliveryWorker

    async def live(self, fuse: Fuse) -> None:
        """Let a module do all that is due, until it is done or dies."""
        house = self.house(CrashingDatabase(self.database, fuse), CrashingTransport(self.sms, fuse))
        house.module.delivery_worker.__class__ = self.worker
        with suppress(Crash):
            await house.decide()
            await house.send()

    def house(self, database: Database | None = None, transport: Transport | None = None) -> House:
        """Return a house on this database and provider."""
        transports = {"sms": transport or self.sms}
        return House(database or self.database, self._settings, EndlessUnread(), self.clock, transports)

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
async def bench(database: Database, settings: Settings, twilio: TwilioServer) -> AsyncIterator[Bench]:
    bench = Bench(database, settings, twilio)
    yield bench
    await bench.sms.close()


async def test_every_step_is_reached(bench: Bench) -> None:
    """The loops below really crash everywhere: a fuse of that many steps burns down, and a longer one doesn't."""
    for steps, crashes in ((STEPS - 1, True), (STEPS, False)):
        await bench.somebody_is_written_to()
        fuse = Fuse(steps)
        await bench.live(fuse)
        assert (fuse.left == -1) is crashes
        await bench.settle_down()


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


class RepeatsWhatItDoesntKnow(DeliveryWorker):
    """Broken: takes a delivery that was being sent for one that wasn't."""

    async def take_up(self) -> None:
        async with self._database.transaction() as tx:
            lost = await rows.take_abandoned(tx.connection, self._clock(), 100)
            await self._ledger.save(tx, [move(one, "pending") for one in lost])


class CallsBeforeItCommits(DeliveryWorker):
    """Broken: calls the provider first and commits to `sending` afterwards."""

    async def deliver(self, delivery: Delivery) -> None:
        message = Outgoing(
            delivery_id=delivery.id,
            attempt=delivery.attempts + 1,
            user_id=delivery.user_id,
            channel_id=delivery.channel_id,
            category=delivery.category,
            to=Target(phone="+4915112345678"),
            words=Words("x", "x", "x", "en"),
            validity_s=600,
        )
        outcome = await self._transports["sms"].send(message)
        begun = await self.begin(delivery)
        if begun is not None:
            await self.settle(*begun, outcome)


class ForgetsWhatItClaimed(DeliveryWorker):
    """Broken: never looks for what dead workers left behind."""

    async def take_up(self) -> None:
        """Do nothing."""


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
    await house.module.delivery_worker.settle(*begun, Accepted("SM1"))
    assert [(d.state, d.provider_id) for d in await bench.ledger()] == [("accepted", "SM1")]
