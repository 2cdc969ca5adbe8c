"""Fan-out at saturation: one socket asks for broadcasts, all of them hear each, nothing is lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from benchmarks.load.frames import server_frame, text_frame
from benchmarks.load.sockets import Counter
from benchmarks.load.transports import close_all, open_all
from benchmarks.machine import CpuMeter
from benchmarks.servers import Server

GO = text_frame(b"go")
DRAIN_WITHIN_S = 20


class BroadcastError(Exception):
    """A reader didn't get exactly what was broadcast."""


@dataclass(frozen=True)
class Broadcasts:
    """What a run reached. Shares are of one core."""

    deliveries_per_s: float
    shares: dict[str, float]


class Driver(Counter):
    """A reader that asks for the next broadcast as one comes back: `window` are always under way."""

    def __init__(self, transport: asyncio.Transport, frame_size: int, window: int) -> None:
        super().__init__()
        self.asked = 0
        self.going = True
        self._transport = transport
        self._frame_size = frame_size
        self._window = window

    def data_received(self, data: bytes) -> None:
        """Count, and ask again."""
        self.received += len(data)
        if self.going:
            self.ask(self.received // self._frame_size + self._window - self.asked)

    def ask(self, count: int) -> None:
        """Ask for broadcasts."""
        if count:
            self.asked += count
            self._transport.write(GO * count)


async def broadcast(
    server: Server, tokens: Sequence[str], payload: bytes, *, seconds: float, window: int, meter: CpuMeter
) -> Broadcasts:
    """Have the server broadcast `payload` to a socket for each token for `seconds`.

    Raises:
        BroadcastError: a socket got other bytes than the broadcasts that were asked for.
    """
    transports = await open_all((server, token) for token in tokens)
    try:
        frame_size = len(server_frame(payload))
        driver = Driver(transports[0], frame_size, window)
        readers: list[Counter] = [driver, *(Counter() for _ in transports[1:])]
        for transport, reader in zip(transports, readers, strict=True):
            transport.set_protocol(reader)
        meter.restart()
        started = perf_counter()
        driver.ask(window)
        await asyncio.sleep(seconds)
        driver.going = False
        await _all_received(readers, driver.asked * frame_size)
        elapsed = perf_counter() - started
        return Broadcasts(driver.asked * len(readers) / elapsed, meter.shares(elapsed))
    finally:
        await close_all(transports)


async def _all_received(readers: Sequence[Counter], expected: int) -> None:
    deadline = perf_counter() + DRAIN_WITHIN_S
    while any(reader.received < expected for reader in readers) and perf_counter() < deadline:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    wrong = [reader for reader in readers if reader.received != expected or reader.lost]
    if wrong:
        raise BroadcastError(f"{len(wrong)} of {len(readers)} readers didn't get exactly {expected} bytes")
