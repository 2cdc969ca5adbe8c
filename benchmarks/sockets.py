"""Defends: ≤ 26 KiB of the server's memory an idle socket; connects ≥ 1.5 × Node `ws`, with the same token
check.

Each round takes a fresh server: memory that an earlier round has freed must not hide what a socket costs.
Every socket is authenticated and has seen its `ready`. A connect counts from the TCP handshake to `ready`;
the whole server looks its person and their channels up in the database for that, its hub alone and Node only
check the token.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import psutil

from benchmarks.load.transports import close_all, open_all
from benchmarks.machine import CpuMeter
from benchmarks.report import Row, compared, limited, plain, skipped
from benchmarks.servers import NODE, NodeMissingError, Server

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
    cpu_us_each: float


async def measure(kinds: Mapping[str, Running], tokens: list[str], *, rounds: int) -> list[Row]:
    """Return the rows for one socket a token. The servers are started anew each round, in turn."""
    crowds: dict[str, list[Crowd]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, running in kinds.items():
            try:
                crowds[name].append(await _crowd(running, tokens))
            except NodeMissingError as error:
                print(f"\n*** {error}: CONNECTS ARE NOT COMPARED WITH NODE ***\n")
    node = crowds.pop(NODE)
    rows = [_memory(name, len(tokens), measured) for name, measured in crowds.items()]
    if not node:
        return [*rows, skipped(PART, "connects", "Node is missing")]
    rows.append(plain(PART, f"{NODE}: {len(tokens):,} idle sockets", [c.kib_each for c in node], unit="KiB each"))
    return rows + [_connects(name, measured, node) for name, measured in crowds.items()]


def _memory(name: str, sockets: int, crowds: list[Crowd]) -> Row:
    values = [crowd.kib_each for crowd in crowds]
    return limited(PART, f"{name}: {sockets:,} idle sockets", values, unit="KiB each", at_most=MEMORY_KIB)


def _connects(name: str, crowds: list[Crowd], node: list[Crowd]) -> Row:
    return compared(
        PART,
        f"{name}: connects, from TCP to ready",
        [crowd.connects_per_s for crowd in crowds],
        [crowd.connects_per_s for crowd in node],
        unit="connects/s",
        against=NODE,
        at_least=CONNECT_RATIO,
        also={
            "server's µs each": median(crowd.cpu_us_each for crowd in crowds),
            "Node's": median(crowd.cpu_us_each for crowd in node),
        },
    )


async def _crowd(running: Running, tokens: list[str]) -> Crowd:
    with running() as server:
        process = psutil.Process(server.pid)
        await close_all(await open_all((server, token) for token in tokens[:WARM_UP]))
        await asyncio.sleep(SETTLE_S)
        before = process.memory_info().rss
        meter = CpuMeter(server=server.pid)
        started = perf_counter()
        transports = await open_all((server, token) for token in tokens)
        elapsed = perf_counter() - started
        cpu_s = meter.shares(elapsed)["server"] * elapsed
        await asyncio.sleep(SETTLE_S)
        grown = process.memory_info().rss - before
        await close_all(transports)
        return Crowd(grown / 1024 / len(tokens), len(tokens) / elapsed, cpu_s / len(tokens) * 1e6)
