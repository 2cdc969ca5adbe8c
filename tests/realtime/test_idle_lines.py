"""Connections on which nothing comes, or from which nothing is taken, end; the others go on."""

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kernel.http import protocol
from kernel.http.protocol import MAX_HEAD_BYTES, ParleyHttpProtocol
from realtime.protocol import ParleyWebSocketProtocol
from tests.support.servers import free_port

BOUND_S = 1.0
"""What stands for thirty seconds here."""
SOON_S = 15.0
LARGE = 24 * 1024 * 1024
"""Several times what the system's own buffers take."""
LITTLE = 1024
PIECE = 64 * 1024
GET = b"GET / HTTP/1.1\r\nHost: parley\r\n"
POST = b"POST / HTTP/1.1\r\nHost: parley\r\nContent-Length: 200000\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: parley\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
BODY = b"x" * 200_000
UNFINISHED = {
    "nothing": b"",
    "half a head": GET + b"X-Half",
    "half a body": POST + BODY[:1000],
    "a whole request, and half of another": POST + BODY + GET,
    "a whole request, and an empty line": POST + BODY + b"\r\n",
}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Take what comes, and answer: with much at /large, late at /late."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/late":
        await asyncio.sleep(2 * BOUND_S)
    body = b"x" * (LARGE if scope["path"] == "/large" else 2)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served(http: type[HttpToolsProtocol] = ParleyHttpProtocol) -> AsyncIterator[int]:
    """Serve it; gives the port."""
    port = free_port()
    config = uvicorn.Config(
        application,
        port=port,
        http=http,
        ws=ParleyWebSocketProtocol,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def line(port: int, *, takes: int = LITTLE) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """Connect; unread bytes beyond twice `takes` stay on the network."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=takes)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ended(reader: StreamReader, within_s: float = SOON_S) -> bytes:
    """Read until the server ends the connection."""
    read = b""
    async with asyncio.timeout(within_s):
        with suppress(ConnectionError):
            while data := await reader.read(PIECE):
                read += data
    return read


async def answered(reader: StreamReader) -> bytes:
    """Return the head of an answer, past its short body."""
    async with asyncio.timeout(SOON_S):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
    return head


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for less."""
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", BOUND_S)
    monkeypatch.setattr(protocol, "TAKEN_WITHIN_S", BOUND_S)


@pytest.mark.parametrize("kind", UNFINISHED)
async def test_requests_that_never_come_whole_end_their_connection(kind: str) -> None:
    async with served() as port, line(port) as (reader, writer):
        writer.write(UNFINISHED[kind])
        assert (await ended(reader)).count(b"200 OK") == ("whole" in kind)


@pytest.mark.parametrize("kind", ["nothing", "half a body"])
async def test_without_our_protocol_they_would_be_waited_for(kind: str) -> None:
    """The broken variant."""
    async with served(HttpToolsProtocol) as port, line(port) as (reader, writer):
        writer.write(UNFINISHED[kind])
        with pytest.raises(TimeoutError):
            await ended(reader, 7)


@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=["one header", "many headers"])
async def test_a_head_without_end_is_refused(end: bytes) -> None:
    async with served() as port, line(port) as (reader, writer):
        writer.write(GET + b"X: ")
        with suppress(ConnectionError):
            for _ in range(4 * MAX_HEAD_BYTES // 1024):
                writer.write(b"y" * 1000 + (end + b"X: " if end else b""))
                await writer.drain()
                await asyncio.sleep(0.001)
        told = await ended(reader)
    assert told == b"" or told.startswith(b"HTTP/1.1 431 ")


async def test_requests_that_come_and_take_their_time_are_answered_on_one_connection() -> None:
    async with served() as port, line(port) as (reader, writer):
        for path in (b"/", b"/late", b"/"):
            head = POST.replace(b" / ", b" " + path + b" ")
            for begin in range(0, len(head), 20):
                writer.write(head[begin : begin + 20])
                await asyncio.sleep(0.001)
            writer.write(BODY)
            assert b"200 OK" in await answered(reader)


async def test_a_socket_may_be_silent() -> None:
    async with served() as port, line(port) as (reader, writer):
        writer.write(UPGRADE)
        async with asyncio.timeout(SOON_S):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            await ended(reader, 3 * BOUND_S)


async def test_who_does_not_read_an_answer_is_dropped_and_who_reads_slowly_is_not() -> None:
    async with served() as port, line(port, takes=PIECE) as (slow, slow_writer), line(port) as (_, stalled_writer):
        for writer in (slow_writer, stalled_writer):
            writer.write(GET.replace(b" / ", b" /large ") + b"\r\n")
        began, read = time.monotonic(), 0
        while read <= LARGE and (piece := await slow.read(PIECE)):
            read += len(piece)
            if time.monotonic() - began < 3 * BOUND_S:
                await asyncio.sleep(BOUND_S / 50)
        assert read > LARGE
        async with asyncio.timeout(SOON_S):
            while not stalled_writer.transport.is_closing():
                stalled_writer.write(b"\r\n")
                await asyncio.sleep(0.05)
