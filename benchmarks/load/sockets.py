"""The load generator's connections: raw frames on uvloop, one `asyncio.Protocol` each.

While the clock runs, a connection only keeps what arrives with its time (or, where every frame is the same,
counts bytes); frames are taken apart and checked afterwards. So the generator costs a few microseconds a
frame, and that it isn't the bottleneck is shown by the rows of `benchmarks.calibration` and by its own CPU
share beside each figure.

That is why it isn't `parley_client`, which decodes and orders each frame as it comes: a thousand of those on
one core would be the bottleneck.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import cast

from benchmarks.load.frames import CLOSE, text_frame, upgrade_request, walk

ACK = b'{"type":"ack"'
ERROR = b'{"type":"error"'
CONNECT_TIMEOUT_S = 30


class RefusedError(Exception):
    """The server didn't open the socket, closed it, or answered something other than what was awaited."""


class Opening(asyncio.Protocol):
    """Upgrades, authenticates, and hands over at the first frame, which must be `ready`."""

    def __init__(self, request: bytes, auth: bytes, ready: "asyncio.Future[bytes]") -> None:
        self._request, self._auth, self._ready = request, auth, ready
        self._received = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._upgraded:
            head, end, self._received = self._received.partition(b"\r\n\r\n")
            if not end:
                self._received = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._fail(head)
                return
            self._upgraded = True
            self._transport.write(self._auth)
        for first, start, stop in walk(self._received):
            payload = self._received[start:stop]
            if first == CLOSE or not payload.startswith(b'{"type":"ready"'):
                self._fail(payload)
            elif not self._ready.done():
                self._ready.set_result(payload)
            return

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(repr(exc).encode())

    def _fail(self, answer: bytes) -> None:
        if not self._ready.done():
            self._ready.set_exception(RefusedError(answer[:300]))


class Recorder(asyncio.Protocol):
    """Keeps everything that arrives, with the time of its arrival."""

    def __init__(self) -> None:
        self.chunks: list[tuple[float, bytes]] = []
        self.lost = False

    @property
    def received(self) -> int:
        return sum(len(data) for _, data in self.chunks)

    def data_received(self, data: bytes) -> None:
        self.chunks.append((perf_counter(), data))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.lost = True


class Counter(asyncio.Protocol):
    """Counts bytes: enough where every frame is the same."""

    def __init__(self) -> None:
        self.received = 0
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.lost = True


class Answered(Recorder):
    """Keeps everything, and tells `answered` how many acks (or errors) a chunk had, if any."""

    def __init__(self, answered: Callable[[int], None]) -> None:
        super().__init__()
        self._answered = answered
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        self.chunks.append((perf_counter(), data))
        if self._rest:
            data = self._rest + data
        acks = stop = 0
        for _, start, stop in walk(data):  # noqa: B007 - where the last one stopped
            if data.startswith((ACK, ERROR), start):
                acks += 1
        self._rest = data[stop:]
        if acks:
            self._answered(acks)


async def connect(port: int, path: str, token: str) -> tuple[asyncio.Transport, bytes]:
    """Open and authenticate one socket on this machine; returns it with the payload of its `ready`.

    The caller sets the protocol that is to receive what follows.

    Raises:
        RefusedError: the server didn't let it in.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bytes] = loop.create_future()
    auth = text_frame(b'{"type":"auth","token":"%s"}' % token.encode())
    request = upgrade_request(f"127.0.0.1:{port}", path)
    transport, _ = await loop.create_connection(lambda: Opening(request, auth, ready), "127.0.0.1", port)
    return transport, await asyncio.wait_for(ready, CONNECT_TIMEOUT_S)
