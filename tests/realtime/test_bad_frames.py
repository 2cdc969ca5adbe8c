"""Frames that nobody should send: each ends its own socket, and costs the server neither its life nor memory."""

import asyncio
import json
import os
import random
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from tests.support.chat import chat
from tests.support.servers import Host, Server
from tests.support.wire import BINARY, CONT, FIN, PING, PONG, TEXT, close_code, connected, frame

FRAMES = int(os.environ.get("PARLEY_TEST_FRAMES", "2000"))
WARM_UP = 500
ALLOWED_BYTES = 16 * 1024 * 1024
RSV1 = 0x40
MANY = 200_000

BAD: dict[str, tuple[bytes, int]] = {
    "too large": (frame(FIN | TEXT, b"x" * 16_385), 1009),
    "an enormous size": (bytes((FIN | TEXT, 0xFF)) + b"\x7f" + b"\xff" * 7, 1009),
    "too large in fragments": (frame(TEXT, b"x" * 10_000) + frame(FIN | CONT, b"x" * 10_000), 1009),
    "not masked": (bytes((FIN | TEXT, 2)) + b"{}", 1002),
    "an unknown opcode": (frame(FIN | 0x3, b"{}"), 1002),
    "a reserved bit": (frame(FIN | RSV1 | TEXT, b"{}"), 1002),
    "a long ping": (frame(FIN | PING, b"x" * 126), 1002),
    "a ping in fragments": (frame(PING, b"x"), 1002),
    "a fragment of nothing": (frame(FIN | CONT, b"x"), 1002),
    "a message within a message": (frame(TEXT, b"x") + frame(FIN | TEXT, b"x"), 1002),
    "not UTF-8": (frame(FIN | TEXT, b"\xff\xfe"), 1007),
    "no JSON": (frame(FIN | TEXT, b"hello"), 4401),
    "nested without end": (frame(FIN | TEXT, b"[" * 16_000), 4401),
    "binary": (frame(FIN | BINARY, b"{}"), 4401),
    "empty": (frame(FIN | TEXT), 4401),
    "more fragments than anybody needs": (frame(TEXT) + frame(CONT) * 128, 4429),
    "more pings than anybody needs": (frame(FIN | PING) * 110, 4429),
    "more pongs than anybody needs": (frame(FIN | PONG) * 110, 4429),
    "fragments without end": (frame(TEXT) + frame(CONT) * MANY, 4429),
}


@pytest.mark.parametrize("kind", BAD)
def test_each_ends_its_socket_with_its_code(server: Server, kind: str) -> None:
    wire, code = BAD[kind]
    with connected(server.port) as peer:
        with suppress(ConnectionError):
            peer.sendall(wire)
        assert close_code(peer) in ({code, 1006} if kind == "fragments without end" else {code})


async def test_as_many_fragments_as_are_allowed_are_one_message(host: Host) -> None:
    async with chat(host.server.ws_url, host.user("ana")) as socket:
        # with the empty one that the library ends it with
        await socket.socket.send(["{", *[" "] * 124, '"type":"ping","ref":"1"', "}"])
        assert (await socket.receive())["type"] == "pong"


async def test_many_of_them_cost_nothing(host: Host) -> None:
    server = host.server
    chance = random.Random(7)
    kinds = [wire for wire, _ in BAD.values() if len(wire) < 100_000]

    def misbehave(times: int) -> None:
        for _ in range(times):
            with connected(server.port) as peer, suppress(ConnectionError):
                peer.sendall(chance.choice(kinds))
                peer.recv(100)

    async with chat(server.ws_url, host.user("ben")) as socket:
        assert await asyncio.to_thread(growth, server, misbehave) < ALLOWED_BYTES
        await socket.send(type="ping")
        assert (await socket.receive())["type"] == "pong"
    assert "Traceback" not in server.log.read_text()


async def test_nor_do_those_of_somebody_who_is_known(host: Host) -> None:
    server, token = host.server, host.user("cem")
    auth = frame(FIN | TEXT, json.dumps({"type": "auth", "token": token}).encode())

    def misbehave(times: int) -> None:
        for _ in range(times // 4):
            with connected(server.port) as peer, suppress(ConnectionError):
                peer.sendall(auth + frame(FIN | TEXT, b"hello") * 5)
                assert close_code(peer) == 4400

    assert await asyncio.to_thread(growth, server, misbehave) < ALLOWED_BYTES


def growth(server: Server, misbehave: Callable[[int], None]) -> int:
    """Return by how much the server grows over `FRAMES` bad frames, once it has seen some."""
    misbehave(WARM_UP)
    before = psutil.Process(server.pid).memory_info().rss
    misbehave(FRAMES)
    return int(psutil.Process(server.pid).memory_info().rss - before)
