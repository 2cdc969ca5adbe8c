"""`kill -9` of processes in the midst of expiring: every invitation ends and is told of, once."""

import asyncio
import subprocess
import sys

from kernel.database import Database
from tests.support.servers import ROOT
from tests.support.sweeping import due, faults, statuses

INVITES = 120


async def test_nothing_is_lost_and_nothing_told_twice(dsn: str, database: Database, kills: int) -> None:
    assert await faults_of(dsn, database, "careful", kills) == []
    assert await statuses(database) == {"expired": INVITES}


async def test_the_same_check_finds_events_outside_the_transaction(dsn: str, database: Database) -> None:
    """The broken variant."""
    assert any(fault.startswith("lost") for fault in await faults_of(dsn, database, "careless", 1))


async def faults_of(dsn: str, database: Database, manner: str, kills: int) -> list[str]:
    """Kill processes while they expire invitations, then let two finish; returns what is wrong with the outcome."""
    await due(database, INVITES)
    for _ in range(kills):
        await asyncio.to_thread(killed_in_a_batch, dsn, manner)
    last = [process(dsn, manner) for _ in range(2)]
    for one in last:
        await asyncio.to_thread(one.communicate, timeout=120)
    assert [one.returncode for one in last] == [0, 0]
    return await faults(database)


def killed_in_a_batch(dsn: str, manner: str) -> None:
    """Run one until it is in its second batch: the change is made, its event isn't."""
    running = process(dsn, manner)
    try:
        assert running.stdout is not None
        for _ in range(2):
            assert running.stdout.readline()
    finally:
        running.kill()
        running.communicate()


def process(dsn: str, manner: str) -> subprocess.Popen[bytes]:
    """Start a process that expires."""
    command = [sys.executable, "-m", "tests.support.expiring", dsn, manner]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
