"""PostgreSQL is killed, or stands still, under load: sockets stay open, sends fail retryably, all recovers."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.databases import Databases
from tests.support.log import damage
from tests.support.promises import broken_promises
from tests.support.servers import running_server
from tests.support.talker import booking, settled, talking, under_load

STANDSTILL_S = 3


@pytest.fixture
def mortal_dsn(mortal: Databases) -> Iterator[str]:
    """A database that doesn't outlive its server's kills; dropped when it is back."""
    with mortal.fresh() as dsn:
        yield dsn


async def test_a_killed_postmaster_costs_nothing(
    mortal_dsn: str, tmp_path: Path, postmaster: Callable[[], int], kills: int
) -> None:
    def kill() -> None:
        os.kill(postmaster(), signal.SIGKILL)

    await survives(mortal_dsn, tmp_path, kill, kills)


async def test_a_killed_backend_costs_nothing(
    mortal_dsn: str, tmp_path: Path, postmaster: Callable[[], int], kills: int
) -> None:
    def kill() -> None:
        name = urlsplit(mortal_dsn).path.removeprefix("/")
        backends = [p for p in psutil.Process(postmaster()).children() if name in " ".join(p.cmdline())]
        assert backends
        backends[-1].kill()

    await survives(mortal_dsn, tmp_path, kill, kills)


async def survives(dsn: str, data_dir: Path, kill: Callable[[], None], kills: int) -> None:
    """Talk while PostgreSQL is killed again and again; check that the promises hold."""
    with running_server(dsn, data_dir) as server:
        talkers = booking(server, "b1", "ana", "ben", "cem", "dia", window=1)
        async with talking(*talkers):
            for _ in range(kills):
                await under_load(talkers)
                kill()
            await under_load(talkers)
            found = await settled(dsn, talkers)
        assert [talker.sockets for talker in talkers] == [1] * 4, "no socket was closed"
    assert damage(found) == []
    assert broken_promises(found, talkers) == []
    problems = [problem for talker in talkers for problem in talker.problems]
    assert problems, "the kills were noticed"
    assert {problem["status"] for problem in problems} == {503}


async def test_a_standstill_only_delays(mortal_dsn: str, tmp_path: Path, postmaster: Callable[[], int]) -> None:
    with running_server(mortal_dsn, tmp_path) as server:
        talkers = booking(server, "b1", "ana", "ben")
        async with talking(*talkers):
            await under_load(talkers)
            with standing_still(postmaster()):
                await asyncio.sleep(STANDSTILL_S)
            await under_load(talkers)
            found = await settled(mortal_dsn, talkers)
        assert [talker.sockets for talker in talkers] == [1, 1]
    assert damage(found) == []
    assert broken_promises(found, talkers) == []


@contextmanager
def standing_still(postmaster: int) -> Iterator[None]:
    """Stop every process of a PostgreSQL for a while."""
    leader = psutil.Process(postmaster)
    processes = [leader, *leader.children()]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()
