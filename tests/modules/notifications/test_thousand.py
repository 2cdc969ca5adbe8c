"""Guarantee 12, with real processes: killed a thousand times at steps drawn from a seed, several at work at once.

Every transport, a provider that fails in all ways, the breaker, pace and caps. PARLEY_TEST_CRASHES says how often they
are killed (1000 for the figure to report), PARLEY_TEST_CRASHES_SEED replays a run as far as timing allows.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from aiohttp import web

from kernel.clock import now
from kernel.database import Database
from modules.notifications import delivery_worker
from modules.notifications.domain.delivery import Delivery
from modules.notifications.store import usage
from tests.modules.notifications.checker import contradictions, doubles, misranged, open_alerts, unfinished
from tests.modules.notifications.conftest import House
from tests.modules.notifications.crashing import LADDER, house_of, named
from tests.modules.notifications.mortal import quickly, settings_of
from tests.modules.notifications.world import message
from tests.support.twilio_server import (
    Behaviour,
    TwilioServer,
    accept,
    break_down,
    cut_off,
    hang,
    refuse,
)

ROOT = Path(__file__).parents[3]
MORTAL = Path(__file__).with_name("mortal.py")
PROCESSES = 4
CRASHES = int(os.environ.get("PARLEY_TEST_CRASHES", "40"))
SETTLED_S = 60.0 + CRASHES
LEASE = timedelta(seconds=10)
"""Of the one that is healthy: on a machine under load, a second is soon over."""
UNSETTLED = "SELECT count(*) FROM notification_deliveries WHERE state IN ('pending', 'claimed', 'sending')"

MOODS: Sequence[tuple[int, Behaviour]] = (
    (60, accept),
    (8, refuse(429, 20429)),
    (6, refuse(400, 30450)),
    (6, refuse(400, 21617)),
    (5, break_down(taken=True)),
    (5, break_down(taken=False, status=503)),
    (4, hang(taken=True)),
    (3, cut_off(taken=True)),
    (3, cut_off(taken=False, midway=False)),
)
"""How often a provider does what."""


class Toll:
    """What is sent, said and died while it lasts."""

    def __init__(self, house: House, twilio: TwilioServer, seed: int) -> None:
        self.house, self.twilio = house, twilio
        self.draw = random.Random(seed)
        self.people: list[tuple[str, UUID]] = []
        self.died = Counter[str]()

    async def moody(self, server: TwilioServer, request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        """Do anything that a provider may do."""
        [behaviour] = self.draw.choices([mood for _, mood in MOODS], [weight for weight, _ in MOODS])
        return await behaviour(server, request, form)

    async def kill(self, processes: Sequence[asyncio.subprocess.Process], times: int) -> None:
        """Let processes live until they have died that many times in all, while people are written to."""
        self.twilio.default = self.moody
        await asyncio.gather(*(self._one_after_another(process, times) for process in processes))
        self.twilio.default = accept

    async def settle(self) -> None:
        """Let a healthy module work until there is nothing left to do."""
        await self.house.module.start()
        async with asyncio.timeout(SETTLED_S):
            while await open_alerts(self.house.database) or await self._unsettled():
                await asyncio.sleep(0.5)

    async def faults(self) -> list[str]:
        """All that is wrong."""
        ledger, sent = await self.house.ledger(), self.twilio.sent
        found = doubles(sent) + contradictions(ledger, sent) + unfinished(ledger)
        for transport in LADDER:
            found += misranged([d for d in ledger if d.transport == transport], 2, self.people)
        return found + await self._uncounted(ledger)

    async def _one_after_another(self, process: asyncio.subprocess.Process, times: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        while self.died["died"] < times:
            assert process.returncode is None
            await self._somebody_is_written_to()
            process.stdin.write(b"%d\n" % self.draw.randrange(2**32))
            self.died[(await process.stdout.readline()).decode().strip()] += 1

    async def _somebody_is_written_to(self) -> None:
        user_id, channel = f"user-{len(self.people)}", uuid4()
        self.people.append((user_id, channel))
        for seq in (1, 2):
            await self.house.publish(message(channel, seq, "ana", [user_id], occurred_at=now()))
            await asyncio.sleep(0)

    async def _unsettled(self) -> int:
        async with self.house.database.connection() as connection:
            return int(await connection.fetchval(UNSETTLED))

    async def _uncounted(self, ledger: Sequence[Delivery]) -> list[str]:
        """SMS that were made and not counted towards the caps."""
        by_sms = {d.id for d in ledger if d.transport == "sms"}
        made = sum(1 for sms in self.twilio.sent if sms.delivery_id in by_sms)
        async with self.house.database.connection() as connection:
            counted = await connection.fetchval(
                "SELECT coalesce(sum(segments), 0) FROM notification_usage WHERE scope = $1", usage.DEPLOYMENT
            )
        return [f"{made} SMS were made, {counted} counted"] if counted < made else []


@pytest.fixture
def seed() -> int:
    """Printed when a test fails, as all that a test prints."""
    drawn = int(os.environ.get("PARLEY_TEST_CRASHES_SEED", random.randrange(2**32)))
    print(f"PARLEY_TEST_CRASHES_SEED={drawn}")
    return drawn


@pytest.fixture
async def toll(database: Database, twilio: TwilioServer, seed: int) -> AsyncIterator[Toll]:
    with quickly(), patch.object(delivery_worker, "LEASE", LEASE):
        transports = {name: named(name, twilio.url, timeout_s=5) for name in LADDER}
        house = house_of(database, settings_of(), now, transports)
        yield Toll(house, twilio, seed)
        await house.module.stop()


@asynccontextmanager
async def mortals(
    dsn: str, twilio: TwilioServer, variant: str = "whole"
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Run processes that let children live and die, and end them."""
    async with AsyncExitStack() as stack:
        processes = []
        for _ in range(PROCESSES):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(MORTAL), dsn, twilio.url, variant),
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            stack.push_async_callback(_ended, process)
            processes.append(process)
        yield processes


async def _ended(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()


@pytest.mark.long
async def test_killed_at_any_step_nothing_is_sent_twice_or_lost(dsn: str, toll: Toll) -> None:
    async with mortals(dsn, toll.twilio) as processes:
        await toll.kill(processes, CRASHES)
    assert toll.died["died"] >= CRASHES
    await toll.settle()
    assert await toll.faults() == []
    await everything_in_doubt_is_told(toll)


async def everything_in_doubt_is_told(toll: Toll) -> None:
    """Every message that was made belongs to a delivery which shows it, or shows that nobody knows."""
    doubtful = {d.id for d in await toll.house.ledger() if d.state == "unknown"}
    made = {sms.delivery_id: sms for sms in toll.twilio.sent}
    assert doubtful
    for delivery_id in doubtful & made.keys():
        await toll.house.reported(made[delivery_id], "delivered")
    left = {d.id for d in await toll.house.ledger() if d.state == "unknown"}
    assert left == doubtful - made.keys(), "what is still in doubt was never made"


@pytest.mark.long
@pytest.mark.parametrize(("variant", "finds"), [("repeats", "was sent 2 times"), ("calls first", "times")])
async def test_a_missing_mechanism_shows(dsn: str, toll: Toll, variant: str, finds: str) -> None:
    """The broken variants, as processes."""
    async with mortals(dsn, toll.twilio, variant) as processes:
        await toll.kill(processes, max(CRASHES, 80))
    await toll.settle()
    assert any(finds in fault for fault in await toll.faults())
