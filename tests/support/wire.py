"""WebSockets by hand: for what no client library would send."""

from contextlib import suppress
from socket import SO_RCVBUF, SOL_SOCKET, socket

MASKED = 0x80
FIN = 0x80
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def connected(port: int, *, receive_buffer: int = 16_384, path: str = "/ws/chat") -> socket:
    """Return a WebSocket past its handshake, with a buffer that takes in little."""
    peer = socket()
    peer.setsockopt(SOL_SOCKET, SO_RCVBUF, receive_buffer)
    peer.settimeout(10)
    peer.connect(("127.0.0.1", port))
    peer.sendall(
        f"GET {path} HTTP/1.1\r\nHost: parley\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += peer.recv(1)
    assert b" 101 " in answer, answer
    return peer


def frame(first: int, payload: bytes = b"") -> bytes:
    """Return a client's frame of at most 65,535 bytes, masked with zeros; `first` is its first byte."""
    size = bytes((MASKED | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes((first,)) + size + bytes(4) + payload


def close_code(peer: socket) -> int:
    """Read up to the server's close frame and return its code; 1006 if the connection ends without one."""
    with suppress(ConnectionError), peer.makefile("rb") as stream:
        while head := stream.read(2):
            size = int.from_bytes(stream.read(2), "big") if head[1] == 126 else head[1]
            payload = stream.read(size)
            if head[0] == FIN | CLOSE:
                return int.from_bytes(payload[:2], "big")
    return 1006
