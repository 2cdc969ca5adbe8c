"""Opening and dropping many sockets."""

import asyncio
from collections.abc import Iterable, Sequence

from benchmarks.load.sockets import connect
from benchmarks.servers import Server

CONNECTING_AT_ONCE = 32


async def open_all(seats: Iterable[tuple[Server, str]]) -> list[asyncio.Transport]:
    """Open a socket at each server with its token, some at a time.

    Raises:
        RefusedError: a server didn't let one of them in.
    """
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(server: Server, token: str) -> asyncio.Transport:
        async with gate:
            transport, _ = await connect(server.port, server.path, token)
            return transport

    return list(await asyncio.gather(*(one(server, token) for server, token in seats)))


async def close_all(transports: Sequence[asyncio.Transport]) -> None:
    """Drop the sockets, and give the server a moment to notice."""
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0.1 + len(transports) / 10_000)
