"""A text frame for many sockets, encoded once."""

import struct
from functools import cached_property

FIN_TEXT = 0x81
SHORT, MEDIUM = 126, 1 << 16


class Frame:
    """One JSON text. `wire` is the WebSocket frame (RFC 6455, 5.2) as a server sends it, unmasked."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    @cached_property
    def wire(self) -> bytes:
        """The bytes to put on the transport."""
        size = len(self.payload)
        if size < SHORT:
            return bytes((FIN_TEXT, size)) + self.payload
        if size < MEDIUM:
            return struct.pack("!BBH", FIN_TEXT, 126, size) + self.payload
        return struct.pack("!BBQ", FIN_TEXT, 127, size) + self.payload
