"""Defends: 50 of 1,000 readers that stop reading shift the others' delivery p99 by ≤ 5 %, and cost ≤ 512 KiB each.

Everybody is in one channel, in which a few messages a second are written in an open loop. The 50 are also in a channel
of long messages, which is flooded. In one half of a round they read all of it, in the other nothing: the same is sent,
and what differs is what not being read costs. Within seconds the system's buffers are full, then the server's queue,
then they are cut off with 4008. Memory is the most that the server held meanwhile beyond what it held before.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import psutil

from benchmarks import servers, shape
from benchmarks.host import Host
from benchmarks.load.conversation import Place, talk
from benchmarks.load.frames import text_frame
from benchmarks.load.sockets import Counter
from benchmarks.load.stats import milliseconds
from benchmarks.load.transports import close_all, open_all
from benchmarks.load.verdict import Figures, judge
from benchmarks.machine import LOAD_CORE, CpuMeter, own_pid
from benchmarks.postgres import Postgres
from benchmarks.report import Row, limited
from benchmarks.servers import Server

PART = "Readers that stall"
ONE_IN = 20
PER_S = 40.0
LONG = "重".encode() * 5_000
"""As many bytes as a message can have: few of them fill a buffer, and cost the server little else."""
FLOOD_PER_S = 75
HALF_S = 6
"""So long the system's buffers take to fill, and longer."""
AT_MOST_PERCENT = 5.0
AT_MOST_KIB = 512.0
NOTICED_WITHIN_S = 5.0
WATCH_S = 0.05
PAUSE_S = 0.01


@dataclass(frozen=True)
class Half:
    """Half a round: the others' figures, and how it was for the server and for those who stalled."""

    figures: Figures
    grown_kib: float
    cut_off: int


@dataclass(frozen=True)
class Cast:
    """Who takes part."""

    crowd: Place
    slow: Sequence[str]
    flooder: str
    flooded: str
    tokens: dict[str, str]


async def measure(postgres: Postgres, key: str, *, readers: int, rounds: int) -> list[Row]:
    """Return the rows for so many readers."""
    with servers.parley(postgres.dsn) as server:
        cast = _cast(Host(server.port, key), readers)
        with postgres.on_cores(LOAD_CORE):
            await _half(server, cast, "warm", stalling=False)
            halves = []
            for number in range(rounds):
                reading = await _half(server, cast, f"r{number}", stalling=False)
                halves.append((reading, await _half(server, cast, f"s{number}", stalling=True)))
    return _rows(halves, readers, len(cast.slow))


def _cast(host: Host, readers: int) -> Cast:
    people = [shape.user_id(number) for number in range(1, readers + 1)]
    flooder = shape.user_id(readers + 1)
    tokens = host.people([*people, flooder])
    slow, others = people[: readers // ONE_IN], people[readers // ONE_IN :]
    crowd = Place(host.booking("crowd", people, "Hello"), others, senders=1)
    return Cast(crowd, slow, flooder, host.booking("flooded", [flooder, *slow], "Hello"), tokens)


async def _half(server: Server, cast: Cast, run: str, *, stalling: bool) -> Half:
    async with _opened(server, cast, cast.slow) as slow, _opened(server, cast, [cast.flooder]) as (flooder,):
        if stalling:
            for transport, _ in slow:
                transport.pause_reading()
        flood = Flood(server, flooder[0], cast.flooded, run)
        meter = CpuMeter(load=own_pid())
        recording = await talk(
            [server], [cast.crowd], cast.tokens, meter, run=run, seconds=HALF_S, per_s=PER_S, meanwhile=flood.run()
        )
        for transport, _ in slow:
            transport.resume_reading()
        cut_off = await _cut_off([reader for _, reader in slow])
    return Half(judge(recording), flood.grown_kib, cut_off)


@asynccontextmanager
async def _opened(
    server: Server, cast: Cast, people: Sequence[str]
) -> AsyncIterator[list[tuple[asyncio.Transport, Counter]]]:
    """Connect people whose frames are only counted."""
    transports = await open_all((server, cast.tokens[person]) for person in people)
    readers = [Counter() for _ in transports]
    for transport, reader in zip(transports, readers, strict=True):
        transport.set_protocol(reader)
    yield list(zip(transports, readers, strict=True))
    await close_all(transports)


async def _cut_off(readers: Sequence[Counter]) -> int:
    """Return how many were, once all had the time to notice."""
    deadline = perf_counter() + NOTICED_WITHIN_S
    while perf_counter() < deadline and not all(reader.lost for reader in readers):
        await asyncio.sleep(WATCH_S)
    return sum(reader.lost for reader in readers)


class Flood:
    """Long messages at a steady pace; watches how much the server grows meanwhile."""

    def __init__(self, server: Server, transport: asyncio.Transport, channel_id: str, run: str) -> None:
        self.grown_kib = 0.0
        self._process = psutil.Process(server.pid)
        self._transport = transport
        self._frame = b'{"type":"message.send","channel_id":"%s","content":"%s","ref":"","client_id":"%s-' % (
            channel_id.encode(),
            LONG,
            run.encode(),
        )

    async def run(self) -> None:
        """Send, for as long as half a round."""
        before = self._process.memory_info().rss
        began = perf_counter()
        sent = 0
        while (elapsed := perf_counter() - began) < HALF_S:
            while sent < elapsed * FLOOD_PER_S:
                self._transport.write(text_frame(self._frame + b'%d"}' % sent))
                sent += 1
            self.grown_kib = max(self.grown_kib, (self._process.memory_info().rss - before) / 1024)
            await asyncio.sleep(PAUSE_S)


def _rows(halves: Sequence[tuple[Half, Half]], readers: int, slow: int) -> list[Row]:
    what = f"{slow} of {readers:,} stall"
    shifts = [100 * (stalled.figures.delivery_p99 / reading.figures.delivery_p99 - 1) for reading, stalled in halves]
    shift = limited(PART, f"{what}: the others' delivery p99 shifts by", shifts, unit="%", at_most=AT_MOST_PERCENT)
    shift.also["p99 when all read"] = milliseconds(median(reading.figures.delivery_p99 for reading, _ in halves))
    shift.also["when they stall"] = milliseconds(median(stalled.figures.delivery_p99 for _, stalled in halves))
    grown = [stalled.grown_kib / slow for _, stalled in halves]
    memory = limited(PART, f"{what}: memory", grown, unit="KiB for each stalled", at_most=AT_MOST_KIB)
    memory.also["the same when all read"] = f"{median(reading.grown_kib / slow for reading, _ in halves):.0f} KiB"
    memory.also["cut off with 4008"] = f"{median(stalled.cut_off for _, stalled in halves):.0f}"
    return [shift, memory]
