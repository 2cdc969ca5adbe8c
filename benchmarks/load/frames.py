"""WebSocket frames (RFC 6455), as little of them as a load generator needs.

Client frames carry the masking key zero: legal, and the payload goes out as it is.
"""

import base64
from collections.abc import Iterator

SUBPROTOCOL = "parley.v1"
CLOSE = 0x88
PING = 0x89
NO_MASK = bytes(4)


def upgrade_request(host: str, path: str) -> bytes:
    """Return the HTTP request that opens a socket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def text_frame(payload: bytes) -> bytes:
    """Return a client's text frame of at most 65,535 bytes."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + NO_MASK + payload
    return bytes((0x81, 0x80 | 126)) + size.to_bytes(2, "big") + NO_MASK + payload


def server_frame(payload: bytes) -> bytes:
    """Return a server's text frame of 126 to 65,535 bytes."""
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


def walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the first byte of every whole server frame in `data`, and where its payload starts and stops."""
    at, end = 0, len(data)
    while end - at >= 2:
        first, size, start = data[at], data[at + 1], at + 2
        if size == 126:
            start += 2
            size = int.from_bytes(data[at + 2 : start], "big")
        elif size == 127:
            start += 8
            size = int.from_bytes(data[at + 2 : start], "big")
        at = start + size
        if start > end or at > end:
            return
        yield first, start, at


def close_reason(payload: bytes) -> str:
    """Return the code and the reason of a close frame."""
    return f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}"
