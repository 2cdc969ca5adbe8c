"""Joining: `ready` says where each log ends, and every record past that comes after it, once and in order."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.chat import chat
from tests.support.servers import Host, Server, person_at, running_server

CONNECTS = 25
WRITERS, MESSAGES = 3, 4
OFTEN = {"PARLEY_MESSAGES_PER_S": "10000", "PARLEY_MESSAGE_BURST": "10000"}


async def test_who_connects_while_others_write_misses_nothing(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, **OFTEN) as server:
        assert await missed(server) == []


@pytest.mark.long
async def test_the_same_check_finds_what_is_dropped_while_joining(dsn: str, tmp_path: Path) -> None:
    """The broken variant: what comes before `ready` isn't kept for afterwards."""
    with running_server(dsn, tmp_path, variant="hold_nothing", **OFTEN) as server:
        assert await missed(server) != []


async def missed(server: Server) -> list[str]:
    """Connect again and again as the only listener, while others write a few messages and then are silent.

    Nothing that is missed shows by a later one, then. Returns where frames didn't follow on `ready` up to the end.
    """
    host = Host(server, server.cli("keys", "create", "tests"))
    wrong = []
    with host.http, person_at(server, host.user("ana")) as ana:
        ben, name = host.user("ben"), uuid4().hex
        host.context(name, {"ana": "worker", "ben": "supervisor"})
        channel = write(ana, f"contexts/booking/{name}")["channel_id"]
        for n in range(CONNECTS):
            writing = asyncio.gather(*(asyncio.to_thread(talk, ana, channel) for _ in range(WRITERS)))
            await asyncio.sleep(n % 10 * 0.002)
            async with chat(server.ws_url, ben) as socket:
                end = max(await writing)
                expected = list(range(socket.ready["channels"][0]["last_seq"] + 1, end + 1))
                try:
                    came = [(await socket.receive(patience_s=3))["seq"] for _ in expected]
                except TimeoutError:
                    came = []
                if came != expected:
                    wrong.append(f"{n}: {came} instead of {expected}")
    return wrong


def talk(writer: httpx.Client, channel: str) -> int:
    """Write a few messages; returns where the last one stands."""
    seqs: list[int] = [write(writer, f"channels/{channel}")["seq"] for _ in range(MESSAGES)]
    return seqs[-1]


def write(writer: httpx.Client, where: str) -> dict[str, Any]:
    """Write a message over HTTP, without listening."""
    body = {"client_id": uuid4().hex, "content": "while you were on your way"}
    message: dict[str, Any] = writer.post(f"/api/{where}/messages", json=body).raise_for_status().json()
    return message
