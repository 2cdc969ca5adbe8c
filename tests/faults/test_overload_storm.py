"""Everybody comes back at once: all are live soon, requests are answered meanwhile, and nobody is told but to wait.

PARLEY_TEST_STORM says how many; the figure to report is for 2,000.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from benchmarks.load.sockets import RefusedError, connect
from tests.support.chat import chat
from tests.support.servers import Host, Server, running_server
from tests.support.tokens import token

CLIENTS = int(os.environ.get("PARLEY_TEST_STORM", "400"))
LIVE_WITHIN_S = 10
ANSWERED_WITHIN_S = 3
PER_BOOKING = 20


@contextmanager
def crowded(dsn: str, data_dir: Path, variant: str | None = None) -> Iterator[Server]:
    """A server with a small waiting room, and a crowd in bookings of twenty."""
    with running_server(dsn, data_dir, variant=variant, PARLEY_MAX_JOINING=str(CLIENTS // 2)) as running:
        host = Host(running, running.cli("keys", "create", "k"))
        with host.http:
            for start in range(0, CLIENTS, PER_BOOKING):
                people(host, start)
        yield running


def people(host: Host, start: int) -> None:
    """Make twenty people and their booking."""
    names = [f"u{n}" for n in range(start, start + PER_BOOKING)]
    users = [{"user_id": name, "username": name, "display_name": name} for name in names]
    host.http.post("/api/users/batch", json={"users": users}).raise_for_status()
    host.context(f"b{start}", dict.fromkeys(names, "worker"))
    with host.person(token(names[0])) as http:
        sent = http.post(f"/api/contexts/booking/b{start}/messages", json={"client_id": "1", "content": "hello"})
        sent.raise_for_status()


async def test_all_are_live_soon(dsn: str, tmp_path: Path) -> None:
    with crowded(dsn, tmp_path) as server:
        storm = await stormed(server)
    assert storm.live_within_s < LIVE_WITHIN_S
    assert set(storm.refusals) == {"HTTP/1.1 503"}, "the waiting room is small, and nobody was told anything else"
    assert max(storm.reads) < ANSWERED_WITHIN_S
    assert max(storm.sends) < ANSWERED_WITHIN_S


@pytest.mark.long
async def test_the_same_check_finds_an_open_door(dsn: str, tmp_path: Path) -> None:
    with crowded(dsn, tmp_path, "open_door") as server:
        assert "HTTP/1.1 503" not in (await stormed(server)).refusals


class Storm(NamedTuple):
    """What happened, times in seconds."""

    live_within_s: float
    refusals: Counter[str]
    reads: list[float]
    sends: list[float]


async def stormed(server: Server) -> Storm:
    """Have everybody come at once, and talk and read meanwhile."""
    refusals: Counter[str] = Counter()
    headers = {"Authorization": f"Bearer {token('u1')}"}
    async with (
        chat(server.ws_url, token("u0")) as talker,
        httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as http,
        timed(lambda: http.get("/api/contexts/booking/b0")) as reads,
        timed(lambda: talker.message("hello", context={"type": "booking", "id": "b0"})) as sends,
    ):
        began = time.monotonic()
        transports = await asyncio.gather(*(come_back(server, f"u{n}", refusals) for n in range(CLIENTS)))
        took = time.monotonic() - began
    for transport in transports:
        transport.abort()
    return Storm(took, refusals, reads, sends)


async def come_back(server: Server, user_id: str, refusals: Counter[str]) -> asyncio.Transport:
    """Connect, and again when told to wait, as clients do: with jitter."""
    while True:
        try:
            transport, _ = await connect(server.port, "/ws/chat", token(user_id))
        except RefusedError as refusal:
            refusals[refusal.args[0][:12].decode(errors="replace")] += 1
            await asyncio.sleep(random.uniform(0, 1))
        else:
            return transport


@asynccontextmanager
async def timed(action: Callable[[], Awaitable[object]]) -> AsyncIterator[list[float]]:
    """Do something again and again meanwhile; gives how long it took each time."""
    waits: list[float] = []

    async def again_and_again() -> None:
        while not enough.is_set():
            began = time.monotonic()
            await action()
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.01)

    enough = asyncio.Event()
    task = asyncio.create_task(again_and_again())
    try:
        yield waits
    finally:
        enough.set()
        await task
