"""Defends every other figure: the load generator is not what is being measured.

Its ceiling: how many frames a second it takes in when each arrives alone, in a read of its own (the dearest
case), with nobody else on its core while the clock runs. The other parts report its CPU share beside their
figures.
"""

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

from benchmarks.load.frames import server_frame
from benchmarks.load.sockets import Answered, Counter, Recorder
from benchmarks.report import Row, plain

PART = "The load generator's own ceiling"
SOCKETS = 500
WAVES = 100
FRAME = server_frame(b'{"type":"message.created"' + b" " * 274 + b"}")

Kind = Counter | Recorder | Answered


async def measure(rounds: int) -> list[Row]:
    """Return how many frames a second each kind of connection takes in."""
    kinds: dict[str, Callable[[], Kind]] = {
        "counting (fan-out)": Counter,
        "keeping with times (readers)": Recorder,
        "keeping, and looking for acks (senders)": lambda: Answered(lambda _: None),
    }
    return [
        plain(PART, what, [await _frames_per_s(make) for _ in range(rounds)], unit="frames/s")
        for what, make in kinds.items()
    ]


async def _frames_per_s(make: Callable[[], Kind]) -> float:
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        pairs = [_tcp_pair() for _ in range(SOCKETS)]
        protocols: list[Kind] = []
        for near, far in pairs:
            stack.enter_context(far)
            near.setblocking(False)
            transport, protocol = await loop.create_connection(make, sock=near)
            stack.callback(transport.abort)
            protocols.append(protocol)
        elapsed = 0.0
        gc.disable()
        for _ in range(WAVES):
            for _, far in pairs:
                far.sendall(FRAME)
            started = perf_counter()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            elapsed += perf_counter() - started
        gc.enable()
        if any(protocol.received != WAVES * len(FRAME) for protocol in protocols):
            raise RuntimeError("frames were still under way when the clock stopped")
    await asyncio.sleep(0)
    return SOCKETS * WAVES / elapsed


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        return near, far
