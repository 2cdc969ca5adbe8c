"""Defends: ≤ 26 KiB of the server's memory an idle socket; connects ≥ 1.5 × Node `ws`, with the same token
check.

Each round takes a fresh server: memory that an earlier round has freed must not hide what a socket costs.
Every socket is authenticated and has seen its `ready`. A connect counts from the TCP handshake to `ready`.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import perf_counter

import psutil

from benchmarks.load.transports import close_all, open_all
from benchmarks.report import Row, compared, limited, plain, skipped
from benchmarks.servers import NodeMissingError, Server

PART = "Idle sockets"
CONNECT_RATIO = 1.5
MEMORY_KIB = 26
SETTLE_S = 1.0
WARM_UP = 100
"""Sockets opened and closed first: what the first ones cost is the program, not the socket."""

Running = Callable[[], AbstractContextManager[Server]]


@dataclass(frozen=True)
class Crowd:
    """What a crowd of sockets cost."""

    kib_each: float
    connects_per_s: float


async def measure(parley: Running, node: Running, tokens: list[str], *, rounds: int) -> list[Row]:
    """Return the rows for one socket a token. The servers are started anew each round."""
    ours: list[Crowd] = []
    theirs: list[Crowd] = []
    for _ in range(rounds):
        ours.append(await _crowd(parley, tokens))
        try:
            theirs.append(await _crowd(node, tokens))
        except NodeMissingError as error:
            print(f"\n*** {error}: CONNECTS ARE NOT COMPARED WITH NODE ***\n")
    what = f"{len(tokens):,} idle sockets"
    memory = limited(PART, f"{what}: memory each", [one.kib_each for one in ours], unit="KiB", at_most=MEMORY_KIB)
    connects = [one.connects_per_s for one in ours]
    if not theirs:
        return [memory, skipped(PART, "connects, against Node ws", "Node is missing")]
    return [
        memory,
        plain(PART, f"{what}: memory each, Node ws", [one.kib_each for one in theirs], unit="KiB"),
        compared(
            PART,
            "connects, from TCP to ready",
            connects,
            [one.connects_per_s for one in theirs],
            unit="connects/s",
            against="Node ws",
            at_least=CONNECT_RATIO,
        ),
    ]


async def _crowd(running: Running, tokens: list[str]) -> Crowd:
    with running() as server:
        process = psutil.Process(server.pid)
        await close_all(await open_all(server, tokens[:WARM_UP]))
        await asyncio.sleep(SETTLE_S)
        before = process.memory_info().rss
        started = perf_counter()
        transports = await open_all(server, tokens)
        elapsed = perf_counter() - started
        await asyncio.sleep(SETTLE_S)
        grown = process.memory_info().rss - before
        await close_all(transports)
        return Crowd(grown / 1024 / len(tokens), len(tokens) / elapsed)
