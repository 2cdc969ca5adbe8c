"""Real processes: killed with SIGKILL at each step, several on one database, stopped in the middle of a call."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from kernel.clock import now
from kernel.database import Database
from kernel.errors import UnavailableError
from kernel.settings import Settings
from modules.notifications import delivery_worker
from modules.notifications.domain.delivery import Delivery
from tests.modules.notifications.checker import contradictions, doubles, misranged, open_alerts
from tests.modules.notifications.conftest import Clock, House, a_house
from tests.modules.notifications.world import EndlessUnread, message
from tests.support.twilio_server import TwilioServer, dawdle, hang

ROOT = Path(__file__).parents[3]
DOOMED = Path(__file__).with_name("doomed.py")


@pytest.fixture
def at_once(settings: Settings) -> Settings:
    """Settings without delay or quiet hours."""
    return msgspec.structs.replace(settings, default_quiet_hours="00:00-00:00", sms_delay_s=0, sms_per_s=0)


@asynccontextmanager
async def doomed(dsn: str, twilio: TwilioServer, step: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process that halts at a step, and see it dead at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(DOOMED),
        dsn,
        twilio.url,
        step,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("step", "left_behind", "sent", "at_last"),
    [
        ("deciding", "no row", 0, "accepted"),
        ("deciding again", "claimed", 0, "accepted"),
        ("before the call", "sending", 0, "unknown"),
        ("during the call", "sending", 1, "unknown"),
        ("after the call", "sending", 1, "unknown"),
    ],
)
async def test_kill_9_sends_nothing_twice_and_loses_nothing(
    dsn: str,
    database: Database,
    at_once: Settings,
    twilio: TwilioServer,
    step: str,
    left_behind: str,
    sent: int,
    at_last: str,
) -> None:
    channel = uuid4()
    if step == "during the call":
        twilio.script.append(hang(taken=True))
    clock = Clock(now())
    async with a_house(database, at_once, EndlessUnread(), clock, twilio) as house:
        await house.publish(message(channel, 1, "ana", ["bo"]))
        async with doomed(dsn, twilio, step) as process:
            if step == "during the call":
                await asyncio.wait_for(twilio.busy.wait(), 20)
            else:
                assert process.stdout is not None
                assert await asyncio.wait_for(process.stdout.readline(), 20)
            process.kill()
            await process.wait()
        ledger = await house.ledger()
        assert [d.state for d in ledger] == ([] if left_behind == "no row" else [left_behind])
        assert len(twilio.sent) == sent

        clock.forward(minutes=2)
        await house.decide()
        [delivery] = await house.send()
        assert (delivery.state, delivery.from_seq, delivery.to_seq) == (at_last, 1, 1)
        assert doubles(twilio.sent) == contradictions([delivery], twilio.sent) == []

        for sms in twilio.sent:
            await house.reported(sms, "delivered")
            assert [d.state for d in await house.ledger()] == ["delivered"]


async def until(house: House, holds: Callable[[list[Delivery]], bool]) -> list[Delivery]:
    """Wait until something holds of the ledger."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ledger = await house.ledger()
        if holds(ledger):
            return ledger
        await asyncio.sleep(0.02)
    raise AssertionError(sorted((d.user_id, d.from_seq, d.to_seq, d.state) for d in ledger))


async def test_three_modules_on_one_database_share_the_work(dsn: str, at_once: Settings, twilio: TwilioServer) -> None:
    people = [(f"user-{person}", uuid4()) for person in range(100)]
    async with AsyncExitStack() as stack:
        houses = []
        for _ in range(3):
            database = await Database.connect(dsn, size=4)
            stack.push_async_callback(database.close)
            house = await stack.enter_async_context(a_house(database, at_once, EndlessUnread(), now, twilio))
            house.bus.start(database)
            stack.push_async_callback(house.bus.stop)
            await house.module.start()
            houses.append(house)
        for seq, house in enumerate(houses, start=1):
            async with house.database.transaction() as tx:
                await house.bus.publish(tx, *(message(channel, seq, "ana", [who]) for who, channel in people))
            await asyncio.sleep(0.2)
        ledger = await until(
            houses[0], lambda ledger: not misranged(ledger, 3, people) and {d.state for d in ledger} == {"accepted"}
        )
        assert doubles(twilio.sent) == contradictions(ledger, twilio.sent) == []
        assert await open_alerts(houses[0].database) == 0


async def test_stopping_lets_a_call_in_flight_end(database: Database, at_once: Settings, twilio: TwilioServer) -> None:
    twilio.script.append(dawdle(0.4))
    async with a_house(database, at_once, EndlessUnread(), now, twilio) as house:
        await house.publish(message(uuid4(), 1, "ana", ["bo"]))
        await house.module.start()
        await asyncio.wait_for(twilio.busy.wait(), 5)
        await house.module.stop()
        assert [d.state for d in await house.ledger()] == ["accepted"]


async def test_stopping_cuts_off_a_call_that_doesnt_end(
    database: Database, at_once: Settings, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_worker, "STOP_S", 0.2)
    twilio.script.append(hang(taken=True))
    async with a_house(database, at_once, EndlessUnread(), now, twilio) as house:
        await house.publish(message(uuid4(), 1, "ana", ["bo"]))
        await house.module.start()
        await asyncio.wait_for(twilio.busy.wait(), 5)
        started = time.monotonic()
        await house.module.stop()
        assert time.monotonic() - started < 2
        assert [d.state for d in await house.ledger()] == ["sending"], "its lease will make it unknown"


async def test_the_workers_survive_a_database_that_goes_away(
    dsn: str, database: Database, at_once: Settings, twilio: TwilioServer
) -> None:
    async with a_house(database, at_once, EndlessUnread(), now, twilio) as house:
        channel = uuid4()
        await house.module.start()
        operator = await asyncpg.connect(dsn)
        await operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await operator.close()
        with suppress(UnavailableError):
            await house.publish(message(channel, 1, "ana", ["bo"]))
        await house.publish(message(channel, 2, "ana", ["bo"]))
        await until(house, lambda ledger: bool(ledger) and {d.state for d in ledger} == {"accepted"})
