"""PostgreSQL away, or standing still: open sockets stay, everything else is told to come back, and all recovers."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import websockets

from tests.support.chat import Chat, chat
from tests.support.partition import Partition, partition
from tests.support.servers import Host, Server, person_at, running_server

AWAY_S = 4
TOLD_WITHIN_S = 45
"""A command that hangs is given up after thirty seconds, and a connection is waited for ten before."""
BACK_WITHIN_S = 15
WHERE = {"type": "booking", "id": "b1"}


@pytest.fixture
def network(dsn: str) -> Iterator[Partition]:
    """What connects the server to PostgreSQL."""
    with partition(f"{parse_qs(urlsplit(dsn).query)['host'][0]}/.s.PGSQL.5432") as network:
        yield network


@pytest.fixture
def server(dsn: str, network: Partition, tmp_path: Path) -> Iterator[Server]:
    """A server whose database is behind that network."""
    remote = f"postgresql://postgres@127.0.0.1:{network.port}{urlsplit(dsn).path}"
    with running_server(remote, tmp_path, PARLEY_DATABASE_POOL_SIZE="4") as running:
        yield running
        network.heal()


@pytest.fixture
def token(server: Server) -> str:
    """A person with a booking."""
    host = Host(server, server.cli("keys", "create", "k"))
    with host.http:
        token = host.user("ana")
        host.context("b1", {"ana": "worker"})
    return token


@pytest.mark.parametrize(
    "fail",
    [
        pytest.param(Partition.cut, id="away"),
        pytest.param(Partition.stall, id="standing still", marks=pytest.mark.long),
    ],
)
async def test_all_are_told_and_all_recovers(
    server: Server, token: str, network: Partition, fail: Callable[[Partition], None]
) -> None:
    async with chat(server.ws_url, token) as talker:
        assert (await talker.message("before", context=WHERE))["type"] == "ack"
        await asyncio.to_thread(fail, network)
        ends = await ends_of_connects(server, token)
        answers = await asyncio.gather(asyncio.to_thread(read, server, token), refused(talker))
        ready = await asyncio.to_thread(readiness, server)
        await asyncio.to_thread(network.heal)
        took = await recovered(server, token, talker)
    assert set(ends) <= {1013, 503}
    assert ends[503] > 0
    assert ends[1013] > 0
    assert [answer.status_code for answer in (answers[0], ready)] == [503, 503]
    assert int(answers[0].headers["Retry-After"]) >= 1
    assert answers[1] == 503
    assert took < BACK_WITHIN_S


async def ends_of_connects(server: Server, token: str) -> Counter[int]:
    """Connect again and again until it was refused both before and after the upgrade; returns how often each."""
    ends: Counter[int] = Counter()
    began = time.monotonic()
    while time.monotonic() - began < TOLD_WITHIN_S and (len(ends) < 2 or time.monotonic() - began < AWAY_S):
        ends.update(await asyncio.gather(*(end_of_connect(server, token) for _ in range(8))))
        await asyncio.sleep(0.1)
    return ends


async def end_of_connect(server: Server, token: str) -> int:
    """Return the status or the close code that a new socket gets."""
    try:
        async with websockets.connect(server.ws_url, proxy=None) as socket:
            one = Chat(socket)
            await one.send(type="auth", token=token)
            return await one.closed(TOLD_WITHIN_S)
    except websockets.InvalidStatus as refusal:
        later = int(refusal.response.headers["Retry-After"]) >= 1
        return refusal.response.status_code if later else 0


async def refused(talker: Chat) -> int:
    """Return the status of a message's refusal on an open socket."""
    await talker.send(type="message.send", ref="x", client_id="x", content="during", context=WHERE)
    return int((await talker.receive("error", patience_s=TOLD_WITHIN_S))["problem"]["status"])


def read(server: Server, token: str) -> httpx.Response:
    """Read over HTTP."""
    with person_at(server, token) as http:
        return http.get("/api/contexts/booking/b1", timeout=TOLD_WITHIN_S)


def readiness(server: Server) -> httpx.Response:
    """Ask whether the server is ready: the answer is quick, whatever stands still."""
    return httpx.get(f"{server.url}/health/ready", timeout=5, trust_env=False)


async def recovered(server: Server, token: str, talker: Chat) -> float:
    """Return after how many seconds messages are written, sockets let in and the server is ready again."""
    began = time.monotonic()
    async with asyncio.timeout(60):
        while (await talker.message("after", context=WHERE))["type"] != "ack":
            await asyncio.sleep(0.1)
        while True:
            try:
                async with chat(server.ws_url, token):
                    break
            except (websockets.WebSocketException, TimeoutError):
                await asyncio.sleep(0.1)
        while (await asyncio.to_thread(readiness, server)).status_code != 200:
            await asyncio.sleep(0.1)
    return time.monotonic() - began
