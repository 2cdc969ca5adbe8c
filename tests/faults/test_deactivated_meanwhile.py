"""Somebody who is deactivated between the look at their token and their first frame has no socket."""

import asyncio
from pathlib import Path

import pytest
import websockets

from tests.support.chat import Chat
from tests.support.servers import Host, running_server


async def test_the_socket_is_closed(dsn: str, tmp_path: Path) -> None:
    assert await end(dsn, tmp_path, "slow_admission") == 4404


@pytest.mark.long
async def test_the_same_check_finds_a_server_that_doesnt_look_again(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        await end(dsn, tmp_path, "no_second_look")


async def end(dsn: str, data_dir: Path, variant: str) -> int:
    """Deactivate somebody while they are let in; returns their socket's close code."""
    with running_server(dsn, data_dir, variant=variant) as server:
        host = Host(server, server.cli("keys", "create", "k"))
        with host.http:
            token = host.user("ana")
            async with websockets.connect(server.ws_url, proxy=None) as socket:
                ana = Chat(socket)
                await ana.send(type="auth", token=token)
                await asyncio.sleep(1)
                host.http.delete("/api/users/ana").raise_for_status()
                return await ana.closed(patience_s=6)
