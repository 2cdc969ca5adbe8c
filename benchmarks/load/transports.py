"""Opening and dropping many sockets."""

import asyncio
from collections.abc import Sequence

from benchmarks.load.sockets import connect
from benchmarks.servers import Server

CONNECTING_AT_ONCE = 32


async def open_all(server: Server, tokens: Sequence[str]) -> list[asyncio.Transport]:
    """Open a socket for each token, some at a time.

    Raises:
        RefusedError: the server didn't let one of them in.
    """
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(token: str) -> asyncio.Transport:
        async with gate:
            transport, _ = await connect(server.port, server.path, token)
            return transport

    return list(await asyncio.gather(*map(one, tokens)))


async def close_all(transports: Sequence[asyncio.Transport]) -> None:
    """Drop the sockets, and give the server a moment to notice."""
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0.1 + len(transports) / 10_000)
