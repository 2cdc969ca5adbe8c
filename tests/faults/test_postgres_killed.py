"""PostgreSQL is killed, or stands still, under load: sockets stay open, sends fail retryably, all recovers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest

from tests.support.databases import Databases, execute, standing_still
from tests.support.log import damage, read
from tests.support.promises import broken_promises
from tests.support.servers import Server, running_server
from tests.support.talker import acknowledged, booking, settled, talking, under_load

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
        backends = [p for p in psutil.Process(postmaster()).children() if name_in(mortal_dsn) in " ".join(p.cmdline())]
        assert backends
        backends[-1].kill()

    await survives(mortal_dsn, tmp_path, kill, kills)


async def survives(dsn: str, data_dir: Path, kill: Callable[[], None], kills: int) -> None:
    """Talk while PostgreSQL is killed again and again; check that the promises hold."""
    with running_server(dsn, data_dir) as server:
        talkers = booking(server, "b1", "ana", "ben", "cem", "dia", window=1)
        async with talking(*talkers):
            async with posting(server) as answers:
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
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
    by_http = {record.content for record in found.records if (record.content or "").startswith("by HTTP")}
    assert {answer.json()["content"] for answer in answers if answer.status_code == 201} <= by_http


@pytest.mark.long
async def test_the_same_checks_find_a_database_that_forgets(
    mortal_dsn: str, tmp_path: Path, postmaster: Callable[[], int]
) -> None:
    """The broken variant: PostgreSQL confirms commits that it hasn't written yet, which production mode refuses."""
    await execute(mortal_dsn, f"ALTER DATABASE {name_in(mortal_dsn)} SET synchronous_commit = off")
    await execute(mortal_dsn, "ALTER SYSTEM SET wal_writer_delay = '10s'")
    await execute(mortal_dsn, "SELECT pg_reload_conf()")
    with running_server(mortal_dsn, tmp_path) as server:
        talkers = booking(server, "b1", "ana", "ben")
        async with talking(*talkers):
            await under_load(talkers)
            await execute(mortal_dsn, "CHECKPOINT")
            await acknowledged(talkers[0], more=1)
            os.kill(postmaster(), signal.SIGKILL)
        await recovered(mortal_dsn)
        found = await read(mortal_dsn, "b1")
    assert any(fault.startswith("lost") for fault in broken_promises(found, talkers))


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


@asynccontextmanager
async def posting(server: Server) -> AsyncIterator[list[httpx.Response]]:
    """Send over HTTP as well, meanwhile."""
    answers: list[httpx.Response] = []
    headers = {"Authorization": f"Bearer {server.cli('token', 'ana')}"}

    async def post() -> None:
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30, trust_env=False) as client:
            while not enough.is_set():
                message = {"client_id": f"{len(answers)}", "content": f"by HTTP {len(answers)}"}
                answers.append(await client.post("/api/contexts/booking/b1/messages", json=message))
                await asyncio.sleep(0.02)

    enough = asyncio.Event()
    task = asyncio.create_task(post())
    try:
        yield answers
    finally:
        enough.set()
        await task


async def recovered(dsn: str) -> None:
    """Wait until PostgreSQL is back."""
    async with asyncio.timeout(30):
        while True:
            with suppress(asyncpg.PostgresError, OSError):
                return await execute(dsn, "SELECT 1")
            await asyncio.sleep(0.05)


def name_in(dsn: str) -> str:
    """Return the name of a DSN's database."""
    return urlsplit(dsn).path.removeprefix("/")
