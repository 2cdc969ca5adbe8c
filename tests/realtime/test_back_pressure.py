"""What a peer may send ahead of an application that doesn't look is small, however tiny the frames."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from realtime import protocol
from tests.support.servers import free_port
from tests.support.wire import FIN, TEXT, connected, frame

FRAMES = 50_000


async def test_little_waits_and_all_arrives_in_order() -> None:
    async with slow_application() as (port, slow):
        waited, received = await flood(port, slow)
    assert waited <= protocol.PIECE_BYTES // len(frame(FIN | TEXT, b"0"))
    assert received == [f"{n % 10}" for n in range(FRAMES)]


async def test_the_same_check_finds_a_parser_without_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PIECE_BYTES", 1 << 30)
    async with slow_application() as (port, slow):
        waited, _ = await flood(port, slow)
    assert waited > 2_000


class Slow:
    """An application that looks only when told to."""

    def __init__(self) -> None:
        self.look = asyncio.Event()
        self.done = asyncio.Event()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.received: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Accept, wait, then take everything."""
        self.queue = scope["extensions"][protocol.EXTENSION].queue
        await receive()
        await send({"type": "websocket.accept"})
        await self.look.wait()
        while (event := await receive())["type"] == "websocket.receive":
            self.received.append(event["text"])
        self.done.set()


async def flood(port: int, slow: Slow) -> tuple[int, list[str]]:
    """Send tiny frames; returns how many were waiting at the most, and what arrived."""
    wire = b"".join(frame(FIN | TEXT, f"{n % 10}".encode()) for n in range(FRAMES))
    with await asyncio.to_thread(connected, port) as peer:
        sending = asyncio.create_task(asyncio.to_thread(peer.sendall, wire))
        await asyncio.sleep(0.5)
        waited = slow.queue.qsize()
        slow.look.set()
        await sending
    await asyncio.wait_for(slow.done.wait(), 20)
    return waited, slow.received


@asynccontextmanager
async def slow_application() -> AsyncIterator[tuple[int, Slow]]:
    """Serve one, with our protocol."""
    slow, port = Slow(), free_port()
    config = uvicorn.Config(
        slow,
        port=port,
        ws=protocol.ParleyWebSocketProtocol,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield port, slow
    finally:
        server.should_exit = True
        await running
