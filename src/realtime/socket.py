"""The write side of a WebSocket, over uvicorn's transport where we can, over plain ASGI sends elsewhere."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from realtime.frame import Frame
from realtime.protocol import EXTENSION, ParleyWebSocketProtocol

COPIED_BYTES = 32 * 1024
"""Up to here one buffer is cheaper than several."""

MAX_REASON_BYTES = 123
"""What a close frame can carry (RFC 6455, 5.5)."""


class Socket(Protocol):
    """Takes frames without blocking; the connection above it bounds what may be buffered."""

    @property
    def buffered_bytes(self) -> int:
        """What has been written and not yet been taken by the peer."""
        ...

    def write(self, frames: Sequence[Frame]) -> None:
        """Send frames in order, after all those before them."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close soon, without waiting, with as much of the reason as fits. Further writes are ignored."""
        ...

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written, or is gone."""
        ...

    async def finish(self) -> None:
        """Wait until a close has been handed over; called last."""
        ...


def fitting(reason: str) -> str:
    """Cut a reason to what a close frame can carry, between two characters."""
    return reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")


def socket_for(scope: Any, send: Any) -> Socket:
    """Return the best socket that this server offers."""
    protocol = scope.get("extensions", {}).get(EXTENSION)
    return DirectSocket(protocol) if protocol is not None else AsgiSocket(send)


class DirectSocket:
    """Writes ready-made frames straight to the transport."""

    __slots__ = ("_protocol", "write_wire")

    def __init__(self, protocol: ParleyWebSocketProtocol) -> None:
        self._protocol = protocol

    @property
    def buffered_bytes(self) -> int:
        """What uvicorn's transport holds."""
        return self._protocol.buffered_bytes

    def write(self, frames: Sequence[Frame]) -> None:
        """Send frames in one write; many bytes aren't copied, so that those who lag share them."""
        wires = [frame.wire for frame in frames]
        if len(wires) > 1 and sum(map(len, wires)) <= COPIED_BYTES:
            wires = [b"".join(wires)]
        self._protocol.write_frames(wires)

    def close(self, code: int, reason: str) -> None:
        """Close soon."""
        self._protocol.close_soon(code, fitting(reason))

    async def drain(self) -> None:
        """Wait for the transport's buffer to fall below its mark."""
        await self._protocol.writable.wait()

    async def finish(self) -> None:
        """Nothing to wait for: a close is on the transport as soon as it is asked for."""


class AsgiSocket:
    """For other ASGI servers: a queue, and a task while there is something in it."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._queue: deque[Frame] = deque()
        self._close: tuple[int, str] | None = None
        self._task: asyncio.Task[None] | None = None
        self.buffered_bytes = 0

    def write(self, frames: Sequence[Frame]) -> None:
        """Queue frames."""
        if self._close is None:
            self._queue.extend(frames)
            self.buffered_bytes += sum(len(frame.payload) for frame in frames)
            self._work()

    def close(self, code: int, reason: str) -> None:
        """Send the close after what is queued."""
        if self._close is None:
            self._close = (code, fitting(reason))
            self._work()

    async def drain(self) -> None:
        """Wait until the queue is sent."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def finish(self) -> None:
        """Wait until the queue and the close are sent."""
        await self.drain()

    def _work(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        with suppress(OSError, RuntimeError):
            while self._queue:
                frame = self._queue.popleft()
                await self._send({"type": "websocket.send", "text": frame.payload.decode()})
                self.buffered_bytes -= len(frame.payload)
            if self._close is not None:
                code, reason = self._close
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
