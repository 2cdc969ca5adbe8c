"""uvicorn's sans-I/O WebSocket protocol, opened up so that the hub can write ready-made frames to the transport.

Why: measured on two cores, a fan-out that awaits an ASGI send for each socket costs twice as much, and a queue and a
task for each socket more again (docs/adr/0005-uvicorn-protocol.md). Reading stays uvicorn's.
"""

from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

from kernel.errors import TooManyRequestsError
from kernel.ratelimit import Bucket

EXTENSION = "parley.socket"
TOO_MANY = 4429
CLOSE_TIMEOUT_S = 5.0
"""How long a peer may take to answer a close before its connection is dropped with what it didn't read."""

MAX_UNREAD_BYTES = 1 << 20
"""What may wait for a peer that sends pings: it is written on top of the frames, which are bounded above."""

PIECE_BYTES = 4096
"""What is parsed of the peer's data before it is handled: one read may hold tens of thousands of tiny frames."""

MAX_FRAGMENTS = 128
"""In one message. They may be empty, so that the limit of its size doesn't bound them."""

PINGS_PER_S = 10.0
PING_BURST = 100.0
"""Pings and pongs of a peer: they pass no limit of the application, and each takes its time of the event loop."""


class ParleyWebSocketProtocol(WebSocketsSansIOProtocol):
    """Puts itself into the scope's extensions, and can be written to and closed without awaiting."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unparsed = bytearray()
        self._fragments = 0
        self._pings = Bucket("pings", per_s=PINGS_PER_S, burst=PING_BURST)
        self._is_deaf = False

    def data_received(self, data: bytes) -> None:
        """Take in only so much at a time that what waits for the application stays small; the rest is kept as it is."""
        self._unparsed += data
        self._parse()

    async def receive(self) -> Any:
        """Return the next event, and parse on when it was the last."""
        event = await super().receive()
        self._parse()
        return event

    async def send(self, message: Any) -> None:
        """Send as uvicorn does, which takes a refused handshake for one that the application forgot."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    def handle_connect(self, event: Request) -> None:
        """Start the application with a way to this object."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    def handle_cont(self, event: Frame) -> None:
        """Refuse a message in more fragments than anybody needs."""
        self._fragments += 1
        if self._fragments >= MAX_FRAGMENTS:
            self.close_soon(TOO_MANY, f"at most {MAX_FRAGMENTS} fragments a message")
            return
        if event.fin:
            self._fragments = 0
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer, but not for ever a peer that takes no answers: pings pass no limit of the application."""
        super().handle_ping()
        if self.buffered_bytes > MAX_UNREAD_BYTES:
            self.transport.abort()
        self._count_ping()

    def handle_pong(self, event: Frame) -> None:
        """Note that the peer is there."""
        super().handle_pong(event)
        self._count_ping()

    def shutdown(self) -> None:
        """Close for the server's end, which waits for nobody who doesn't read."""
        super().shutdown()
        self._abort_later()

    def keepalive_timeout(self) -> None:
        """Give up a silent peer, even one whose kernel holds the connection open and takes nothing."""
        super().keepalive_timeout()
        self._abort_later()

    def handle_close(self, event: Frame) -> None:
        """Let go of a peer that says goodbye, even one that never reads what it was sent before."""
        super().handle_close(event)
        self._abort_later()

    @property
    def buffered_bytes(self) -> int:
        """What the peer has yet to take."""
        return int(self.transport.get_write_buffer_size())

    def write_frames(self, wires: Sequence[bytes]) -> None:
        """Send complete frames; nothing happens once the socket is closing."""
        if not self.close_sent and not self.disconnected:
            self.transport.writelines(wires)

    def close_soon(self, code: int, reason: str) -> None:
        """Send a close frame and let the application's receive return; never waits for a slow peer."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            return
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._parse()
        self._abort_later()

    def _count_ping(self) -> None:
        """Close when there are too many, and hear nothing more: not even what is here already."""
        try:
            self._pings.take()
        except TooManyRequestsError as error:
            self._is_deaf = True
            self.transport.pause_reading()
            self.close_soon(TOO_MANY, error.detail)

    def _parse(self) -> None:
        while self._unparsed and not (self.read_paused or self._is_deaf or self.transport.is_closing()):
            piece = bytes(self._unparsed[:PIECE_BYTES])
            del self._unparsed[:PIECE_BYTES]
            super().data_received(piece)

    def _abort_later(self) -> None:
        """Drop the connection soon; `connection_lost` cancels that when it is gone by itself."""
        if self.close_timer is None and not self.disconnected:
            self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
