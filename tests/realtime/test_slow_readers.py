"""Readers that don't keep up are cut off with 4008, lose nothing by it, and cost others neither frames nor memory."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET, socket

import psutil

from tests.support.chat import Chat, chat
from tests.support.log import read
from tests.support.servers import Host, Server, running_server

STALLED = 10
MESSAGES = 1_600
CONTENT = "x" * 5_000
"""Altogether twice what the system's own buffers take for each reader."""
ALLOWED_BYTES = 40 * 1024 * 1024


async def test_they_are_cut_off_resume_and_lose_nothing(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        async with flooded(server) as (stalled, fast):
            assert [frame["seq"] for frame in fast.seen if "seq" in frame] == list(range(1, MESSAGES + 1))
            assert [await reader.closed() for reader in stalled] == [4008] * STALLED
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
    with running_server(dsn, tmp_path) as server:
        assert await growth(server) < ALLOWED_BYTES


async def test_the_same_check_finds_queues_without_a_bound(dsn: str, tmp_path: Path) -> None:
    """The broken variant: a socket may lag by a gigabyte."""
    with running_server(dsn, tmp_path, PARLEY_MAX_SOCKET_QUEUE_BYTES="1000000000") as server:
        assert await growth(server) > ALLOWED_BYTES


async def growth(server: Server) -> int:
    """Return by how many bytes the server grew while readers stalled, beyond what the flood itself costs."""
    async with flooded(server, stalled=0):
        before = psutil.Process(server.pid).memory_info().rss
    async with flooded(server, "b2"):
        return int(psutil.Process(server.pid).memory_info().rss - before)


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
        readers = [
            await stack.enter_async_context(
                chat(server.ws_url, ben, sock=narrow(server), max_queue=1, close_timeout=0.1)
            )
            for _ in range(stalled)
        ]
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
