"""Peers that send but never read, or fall silent with frames on their way, are dropped and leave nothing behind."""

import json
import time
from pathlib import Path
from socket import socket

import pytest

from tests.support.servers import Host, running_server
from tests.support.wire import FIN, PING, TEXT, connected, frame

PLENTY_BYTES = 24 * 1024 * 1024
"""Several times what the system's own buffers take, and the server's bound on top."""


def test_one_that_only_sends_pings_is_cut_off(dsn: str, tmp_path: Path) -> None:
    with (
        running_server(dsn, tmp_path, PARLEY_WS_AUTH_TIMEOUT_S="600") as server,
        connected(server.port) as peer,
        pytest.raises(ConnectionError),
    ):
        send_for_long(peer, frame(FIN | PING, b"x" * 125))


def test_one_that_falls_silent_with_frames_on_their_way_is_dropped(dsn: str, tmp_path: Path) -> None:
    generous = {"PARLEY_MAX_FRAMES_PER_S": "1000000", "PARLEY_MAX_SOCKET_QUEUE_BYTES": "1000000000"}
    with running_server(dsn, tmp_path, PARLEY_WS_HEARTBEAT_S="1", **generous) as server, connected(server.port) as peer:
        host = Host(server, server.cli("keys", "create", "k"))
        with host.http:
            token = host.user("ana")
        peer.sendall(frame(FIN | TEXT, json.dumps({"type": "auth", "token": token}).encode()))
        with pytest.raises(ConnectionError):
            send_for_long(
                peer, frame(FIN | TEXT, json.dumps({"type": "ping", "ref": "r" * 90}).encode()), then_wait_s=15
            )


def send_for_long(peer: socket, wire: bytes, *, then_wait_s: float = 0) -> None:
    """Send a frame again and again without ever reading, then a byte now and then to learn whether it is heard."""
    batch = wire * 500
    for _ in range(PLENTY_BYTES // len(batch)):
        peer.sendall(batch)
    until = time.monotonic() + then_wait_s
    while time.monotonic() < until:
        peer.sendall(wire[:1])
        time.sleep(0.5)
