"""Readers that don't keep up are cut off with 4008, lose nothing by it, and cost others neither frames nor memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET, socket

import psutil
import pytest

from tests.support.chat import Chat, chat
from tests.support.log import read
from tests.support.servers import Host, Server, running_server

STALLED = 50
MESSAGES = 1_600
SETTLES_WITHIN_S = 3
CONTENT = "x" * 5_000
"""Altogether twice what the system's own buffers take for each reader."""
ALLOWED_BYTES = STALLED * 512 * 1024
MANY = {"PARLEY_MAX_SOCKETS_PER_USER": "100"}


async def test_they_are_cut_off_resume_and_lose_nothing(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, **MANY) as server:
        async with flooded(server) as (stalled, fast):
            assert [frame["seq"] for frame in fast.seen if "seq" in frame] == list(range(1, MESSAGES + 1))
            codes = [await reader.closed() for reader in stalled]
            assert set(codes) <= {4008, 1006}, "who reads on only after five seconds finds the line dead"
            assert 4008 in codes
        seen = [frame for frame in stalled[0].seen if "seq" in frame]
        assert 0 < len(seen) < MESSAGES
        async with chat(server.ws_url, server.cli("token", "ben")) as again:
            missed = {"channel_id": seen[0]["channel_id"], "after_seq": len(seen)}
            await again.send(type="resume", ref="r", epoch=again.ready["epoch"], channels=[missed])
            await again.receive("resumed")
    log = await read(dsn, "b1")
    heard = seen + [frame for frame in again.seen if "seq" in frame]
    assert heard == [log.frame(seq) for seq in range(1, MESSAGES + 1)]


async def test_their_memory_is_bounded(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, **MANY) as server:
        assert await growth(server) < ALLOWED_BYTES


@pytest.mark.long
async def test_so_is_that_of_those_who_stall_while_they_catch_up(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, **MANY) as server:
        assert await growth_by_resumes(server) < ALLOWED_BYTES


@pytest.mark.long
@pytest.mark.parametrize("check", ["growth", "growth_by_resumes"])
async def test_the_same_check_finds_copies(check: str, dsn: str, tmp_path: Path) -> None:
    """The broken variant: a socket may lag by a gigabyte, has copies of its own, and resumes in large pages."""
    endless = {"PARLEY_MAX_SOCKET_QUEUE_BYTES": "1000000000"}
    with running_server(dsn, tmp_path, variant="own_copies", **endless, **MANY) as server:
        assert await {"growth": growth, "growth_by_resumes": growth_by_resumes}[check](server) > ALLOWED_BYTES


async def growth(server: Server) -> int:
    """Return by how many bytes the server grew while readers stalled, beyond what the flood itself costs."""
    async with flooded(server, stalled=0):
        before = memory(server)
    async with flooded(server, "b2"):
        return memory(server) - before


async def growth_by_resumes(server: Server) -> int:
    """Return by how many bytes the server grew while readers asked for all that there was, and took none of it."""
    async with flooded(server, stalled=0) as (_, fast):
        channel = next(frame["channel_id"] for frame in fast.seen if "seq" in frame)
    before, ben = memory(server), server.cli("token", "ben")
    async with AsyncExitStack() as stack:
        for _ in range(STALLED):
            one = await stack.enter_async_context(stalling(server, ben))
            missed = [{"channel_id": channel, "after_seq": 0}]
            await one.send(type="resume", ref="r", epoch=one.ready["epoch"], channels=missed)
        await asyncio.sleep(SETTLES_WITHIN_S)
        return memory(server) - before


def memory(server: Server) -> int:
    """Return how many bytes a server has in memory."""
    return int(psutil.Process(server.pid).memory_info().rss)


def stalling(server: Server, token: str) -> AbstractAsyncContextManager[Chat]:
    """Return a socket that takes in little and is never read."""
    return chat(server.ws_url, token, sock=narrow(server), max_queue=1, close_timeout=0.1)


@asynccontextmanager
async def flooded(
    server: Server, booking: str = "b1", *, stalled: int = STALLED
) -> AsyncIterator[tuple[list[Chat], Chat]]:
    """Have many long messages sent to readers that don't read, and to one that does."""
    host = Host(server, server.cli("keys", "create", booking))
    with host.http:
        ana, ben = host.user("ana"), host.user("ben", display_name="Ben")
        host.context(booking, {"ana": "worker", "ben": "supervisor"})
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(stalling(server, ben)) for _ in range(stalled)]
        fast = await stack.enter_async_context(chat(server.ws_url, ana))
        writer = await stack.enter_async_context(chat(server.ws_url, ana))
        for n in range(MESSAGES):
            where = {"type": "booking", "id": booking}
            await writer.send(type="message.send", ref=f"{n}", client_id=f"{n}", content=CONTENT, context=where)
        for _ in range(MESSAGES):
            await fast.receive("message.created")
        yield readers, fast


def narrow(server: Server) -> socket:
    """Connect with a buffer that takes in little."""
    line = socket()
    line.setsockopt(SOL_SOCKET, SO_RCVBUF, 16_384)
    line.connect(("127.0.0.1", server.port))
    return line
