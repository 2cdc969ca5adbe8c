"""The end of a server: what it took it answers, nobody is let in any more, and it comes soon."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from app import Parley
from kernel.settings import Settings
from tests.support.chat import Chat, chat
from tests.support.log import read
from tests.support.servers import Host, Server, running_server
from tests.support.wire import FIN, TEXT, connected, frame

STREAMS = 10
GENEROUS = {"PARLEY_MAX_SOCKETS_PER_USER": "100", "PARLEY_MAX_SOCKET_QUEUE_BYTES": "100000000"}
LONGEST_S = 12
HURRIED_S = 8


@contextmanager
def served(dsn: str, data_dir: Path, variant: str | None = None) -> Iterator[tuple[Server, str]]:
    """A server with a booking, and a token for it."""
    with running_server(dsn, data_dir, variant=variant, **GENEROUS) as server:
        host = Host(server, server.cli("keys", "create", "k"))
        with host.http:
            token = host.user("ana")
            host.context("b1", {"ana": "worker"})
        yield server, token


async def test_whatever_it_took_it_answers(dsn: str, tmp_path: Path) -> None:
    assert await unanswered(dsn, tmp_path) == set()


async def test_the_same_check_finds_a_hasty_one(dsn: str, tmp_path: Path) -> None:
    assert await unanswered(dsn, tmp_path, "hasty_drain") != set()


async def unanswered(dsn: str, data_dir: Path, variant: str | None = None) -> set[str]:
    """Stop a server while messages stream in; returns those that are stored and were never acknowledged."""
    with served(dsn, data_dir, variant) as (server, token):
        async with streams(server, token) as sockets:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.stop)
            assert [await one.closed() for one in sockets] == [1012] * STREAMS
    stored = {record.client_id for record in (await read(dsn, "b1")).records if record.client_id}
    acknowledged = {seen["ref"] for one in sockets for seen in one.seen if seen["type"] == "ack"}
    assert acknowledged <= stored
    return stored - acknowledged


@asynccontextmanager
async def streams(server: Server, token: str) -> AsyncIterator[list[Chat]]:
    """Open sockets, and send messages on each of them without a pause until it is closed."""
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(chat(server.ws_url, token)) for _ in range(STREAMS)]
        tasks = [asyncio.create_task(stream(one, f"{n}")) for n, one in enumerate(sockets)]
        yield sockets
        await asyncio.gather(*tasks, return_exceptions=True)


async def stream(one: Chat, name: str) -> None:
    """Send until the socket is closed."""
    where = {"type": "booking", "id": "b1"}
    for n in range(100_000):
        ref = f"{name}-{n}"
        await one.send(type="message.send", ref=ref, client_id=ref, content="hello", context=where)
        await asyncio.sleep(0.002)


async def test_nobody_is_let_in_any_more(dsn: str, tmp_path: Path) -> None:
    with served(dsn, tmp_path) as (server, token):
        async with AsyncExitStack() as stack:
            for _ in range(STREAMS):
                await stack.enter_async_context(chat(server.ws_url, token))
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            refused, ready = set(), set()
            while not stopping.done():
                refused.add(await status_of_handshake(server))
                ready.add(await status_of_readiness(server))
            await stopping
    assert {503} <= refused <= {101, 503, 0}
    assert {503} <= ready <= {200, 503, 0}


async def status_of_handshake(server: Server) -> int:
    """Return how an upgrade is answered; 0: not at all."""
    try:
        async with websockets.connect(server.ws_url, proxy=None):
            return 101
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code
    except (OSError, websockets.WebSocketException):
        return 0


async def status_of_readiness(server: Server) -> int:
    """Return what `/health/ready` says; 0: nothing."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{server.url}/health/ready")).status_code
        except httpx.HTTPError:
            return 0


async def test_where_nobody_is_connected_there_is_nothing_to_wait_for(settings: Settings) -> None:
    async with asyncio.timeout(LONGEST_S):
        await Parley(settings).drain(within_s=LONGEST_S * 10)


@pytest.mark.long
def test_those_who_dont_read_delay_it_for_a_while_only(dsn: str, tmp_path: Path) -> None:
    with served(dsn, tmp_path) as (server, token):
        stalled = [stall(server, token) for _ in range(3)]
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < LONGEST_S
        for peer in stalled:
            peer.close()


def stall(server: Server, token: str) -> socket.socket:
    """Return a socket to which the server has more to write than it takes."""
    peer = connected(server.port)
    auth = json.dumps({"type": "auth", "token": token}).encode()
    ping = json.dumps({"type": "ping", "ref": "r" * 90}).encode()
    peer.sendall(frame(FIN | TEXT, auth) + frame(FIN | TEXT, ping) * 100_000)
    return peer


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries_it(dsn: str, tmp_path: Path, second: signal.Signals) -> None:
    with served(dsn, tmp_path) as (server, token), half_a_request(server, token):
        process = server._process
        assert process is not None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(2)
        assert process.poll() is None, "it waits for the request"
        process.send_signal(second)
        process.wait(HURRIED_S)
        assert time.monotonic() - began < HURRIED_S


@contextmanager
def half_a_request(server: Server, token: str) -> Iterator[None]:
    """Begin a request that never ends."""
    head = f"POST /api/contexts/booking/b1/messages HTTP/1.1\r\nHost: parley\r\nAuthorization: Bearer {token}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        time.sleep(0.3)
        yield
