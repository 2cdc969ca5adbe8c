"""`kill -9` of consumers in the midst of batches: every event has its effect, and has it once."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bus import Bus
from kernel.database import Database
from tests.support.databases import execute
from tests.support.events import CONSUMER, EFFECTS, Happened, handle, noted, publish, waiting
from tests.support.servers import ROOT

EVENTS = 120


async def test_every_effect_is_there_once(dsn: str, database: Database, kills: int) -> None:
    assert await effects_of(dsn, database, "careful", kills) == Counter(range(EVENTS))


async def test_the_same_check_finds_effects_outside_the_consumers_transaction(dsn: str, database: Database) -> None:
    assert await effects_of(dsn, database, "careless", 1) != Counter(range(EVENTS))


async def effects_of(dsn: str, database: Database, manner: str, kills: int) -> Counter[int]:
    """Kill consumers while they handle events, then let one finish; returns the effects."""
    await execute(dsn, EFFECTS)
    bus = Bus()
    bus.consume(CONSUMER, Happened, handle)
    await publish(database, bus, *range(EVENTS))
    for _ in range(kills):
        with worker(dsn, manner) as process:
            await asyncio.to_thread(handles_some, process)
    with worker(dsn, manner):
        async with asyncio.timeout(30):
            while await waiting(database):
                await asyncio.sleep(0.02)
    return await noted(database)


def handles_some(process: subprocess.Popen[bytes]) -> None:
    """Wait until a consumer is in the midst of its batch."""
    assert process.stdout is not None
    for _ in range(10):
        assert process.stdout.readline()


@contextmanager
def worker(dsn: str, manner: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a consumer, and kill it at the end."""
    command = [sys.executable, "-m", "tests.support.events", dsn, manner]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
