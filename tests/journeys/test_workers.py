"""Several workers on one port: as reliable as one, and more so when one of them dies."""

import asyncio
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
import websockets

from tests.support.chat import Chat, chat
from tests.support.databases import Databases
from tests.support.redis_server import RedisServer
from tests.support.servers import PARLEY, Host, Server, environment, free_port, running_server

COUNT = 2
PROGRAM = (PARLEY, "serve", "--workers", str(COUNT))
PATIENCE_S = 30
MOST = 500


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where the server's temporary files are."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def server(dsn: str, redis: RedisServer, tmp_path: Path, scratch: Path) -> Iterator[Server]:
    """Two workers, both of them up."""
    many = {"REDIS_URL": redis.url, "PARLEY_MAX_SOCKETS_PER_USER": str(MOST), "TMPDIR": str(scratch)}
    with running_server(dsn, tmp_path, program=PROGRAM, **many) as running:
        until(lambda: len(workers(running)) == COUNT)
        yield running


@pytest.fixture
def host(server: Server) -> Iterator[Host]:
    host = Host(server, server.cli("keys", "create", "tests"))
    with host.http:
        yield host


def workers(server: Server) -> list[psutil.Process]:
    """Return the workers' processes, without those that are only waiting to be buried."""
    return [p for p in psutil.Process(server.pid).children() if p.status() != psutil.STATUS_ZOMBIE]


def list_of(folder: Path) -> list[Path]:
    """Return what is in a folder."""
    return list(folder.iterdir())


def sockets_of(worker: psutil.Process, port: int) -> int:
    """Return how many connections a worker has."""
    return sum(c.laddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in worker.net_connections("tcp"))


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def everywhere(server: Server, token: str, stack: AsyncExitStack) -> list[Chat]:
    """Open sockets until each worker has some."""
    opened: list[Chat] = []
    while min(sockets_of(worker, server.port) for worker in workers(server)) < 2:  # one may be the host's
        assert len(opened) < MOST
        some = [stack.enter_async_context(chat(server.ws_url, token)) for _ in range(20)]
        opened += [await one for one in some]
    return opened


def figure(server: Server, name: str) -> float:
    """Return a metric's value, over all its labels."""
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


async def test_all_of_them_serve_and_their_figures_are_added_up(server: Server, host: Host) -> None:
    host.user("ben")
    token = host.user("ana")
    host.context("b1", {"ana": "worker", "ben": "supervisor"})
    async with AsyncExitStack() as stack:
        opened = await everywhere(server, token, stack)
        for n, socket in enumerate(opened):
            assert (await socket.message(f"{n}", context={"type": "booking", "id": "b1"}))["type"] == "ack"
        assert figure(server, "parley_sockets") == len(opened)
        assert figure(server, "parley_messages_total") == len(opened)
    await asyncio.to_thread(until, lambda: figure(server, "parley_sockets") == 0)


async def test_one_that_is_killed_is_replaced(server: Server, host: Host) -> None:
    token = host.user("ana")
    async with AsyncExitStack() as stack:
        opened = await everywhere(server, token, stack)
        victim = workers(server)[0]
        victim.kill()
        await asyncio.to_thread(until, lambda: len(workers(server)) == COUNT and victim not in workers(server))
        kept = await answering(opened)
        assert 0 < kept < len(opened)
        await asyncio.to_thread(until, lambda: figure(server, "parley_sockets") == kept)
        await everywhere(server, token, stack)


async def answering(opened: list[Chat]) -> int:
    """Return how many of the sockets answer."""
    count = 0
    for socket in opened:
        with suppress(websockets.ConnectionClosed):
            await socket.send(type="ping")
            await socket.receive("pong")
            count += 1
    return count


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_all_stop_together(server: Server, host: Host, scratch: Path, how: signal.Signals) -> None:
    token = host.user("ana")
    before = workers(server)
    async with AsyncExitStack() as stack:
        opened = await everywhere(server, token, stack)
        assert await asyncio.to_thread(server._end, how) == 0
        assert [await socket.closed() for socket in opened] == [1012] * len(opened)
    assert not any(worker.is_running() for worker in before)
    assert list_of(scratch) == []
    assert "Traceback" not in server.log.read_text()


@pytest.mark.long
def test_one_that_stands_still_keeps_nobody_from_stopping(server: Server) -> None:
    stopped = workers(server)[0]
    stopped.suspend()
    process = server._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None, "it is waited for"
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert not stopped.is_running()


def test_they_dont_outlive_their_parent(server: Server) -> None:
    orphans = workers(server)
    server.kill()
    gone, left = psutil.wait_procs(orphans, timeout=PATIENCE_S)
    assert (len(gone), left) == (COUNT, [])


def test_without_redis_they_are_refused(postgres: Databases, dsn: str, tmp_path: Path) -> None:
    assert "needs REDIS_URL" in refused(environment(dsn, tmp_path))


def test_a_first_worker_that_cant_start_ends_all(redis: RedisServer, tmp_path: Path) -> None:
    nowhere = environment(f"postgresql://127.0.0.1:{free_port()}/none", tmp_path, REDIS_URL=redis.url)
    told = refused(nowhere)
    assert told.count("PostgreSQL doesn't let us in") == 1


def refused(environment: dict[str, str]) -> str:
    """Return what `parley serve --workers` says when it ends with a usage error."""
    command = [PARLEY, "serve", "--port", str(free_port()), "--workers", str(COUNT)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert run.returncode == 2
    return run.stderr
