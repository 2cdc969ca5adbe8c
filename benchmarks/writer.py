"""Defends: the writer with 64 senders stores ≥ 3 × the messages of the best pgbench, ≥ 10 × on one hot
channel.

The real `Writer`, in this process, on a pool to the same database that pgbench writes to, round by round in
turn. Every sender has one message under way and submits the next when it is stored. After the clock stopped,
the log must hold exactly what was reported as stored, its seqs without a gap.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import median
from time import perf_counter
from uuid import UUID, uuid4

from benchmarks import pgbench, shape
from benchmarks.load.stats import milliseconds, percentile
from benchmarks.postgres import Postgres
from benchmarks.report import Row, compared, plain
from bus import Bus
from kernel.database import Database, Transaction
from modules.messaging.events import MessageCreated
from modules.messaging.fold import Folded
from modules.messaging.log.record import Record
from modules.messaging.writer import Outcome, Send, Stored, Writer

PART = "The writer against pgbench"
SENDERS = (1, 16, 64, 256)
JUDGED = 64
SPREAD, HOT = shape.CHANNELS, 1
TARGETS = {SPREAD: 3.0, HOT: 10.0}
WARM_UP_S = 0.5
NAMES = {SPREAD: f"{shape.CHANNELS:,} channels", HOT: "one hot channel"}
BEST = 2
"""How many of pgbench's best client counts run in every round."""


@dataclass(frozen=True)
class Person:
    """A sender as the writer needs to know them."""

    user_id: str
    username: str
    display_name: str
    active: bool = True


class Nobody:
    """Nobody is connected to hear what was committed."""

    def opened(self, channel_id: UUID, user_ids: Iterable[str]) -> None:
        """Make nothing of a new channel."""

    def announce(self, record: Record, folded: Folded | None = None, origin: object | None = None) -> None:
        """Make nothing of a new record."""


class Sender:
    """Somebody in a closed loop: submits the next message when the last one is stored."""

    def __init__(self, person: Person, writer: Writer, channels: Sequence[UUID], run: str) -> None:
        self.latencies: list[float] = []
        self.submitted = 0
        self.refusals: list[Outcome] = []
        self.going = True
        self.idle = asyncio.Event()
        self._person = person
        self._writer = writer
        self._next_channel = cycle(random.sample(channels, len(channels))).__next__
        self._run = run
        self._started = 0.0

    def submit(self) -> None:
        """Submit the next message."""
        self.submitted += 1
        self._started = perf_counter()
        client_id = f"{self._run}-{self.submitted}"
        self._writer.submit(Send(self._next_channel(), self._person, client_id, shape.CONTENT, self._settle))

    def _settle(self, outcome: Outcome) -> None:
        self.latencies.append(perf_counter() - self._started)
        if not isinstance(outcome, Stored) or outcome.repeated:
            self.refusals.append(outcome)
        if self.going:
            self.submit()
        else:
            self.idle.set()


async def measure(postgres: Postgres, database: Database, *, rounds: int, seconds: int) -> list[Row]:
    """Return a row for each count of senders, spread and on one hot channel, and the baselines."""
    rows = []
    for channels in (SPREAD, HOT):
        best = await pgbench.best_clients(postgres, channels=channels, seconds=1)
        counts = [run.clients for run in best[:BEST]]
        baseline: list[float] = []
        stored: dict[int, list[Result]] = {senders: [] for senders in SENDERS}
        for _ in range(rounds):
            runs = [await pgbench.run(postgres, channels=channels, clients=c, seconds=seconds) for c in counts]
            baseline.append(max(run.per_s for run in runs))
            for senders in SENDERS:
                stored[senders].append(await _write(database, channels, senders, seconds))
            await shape.empty_outbox(database)
        rows += [_row(channels, senders, results, baseline) for senders, results in stored.items()]
        tried = ", ".join(f"{run.clients}: {run.per_s:,.0f}" for run in sorted(best, key=lambda run: run.clients))
        rows.append(plain(PART, f"pgbench, {NAMES[channels]}", baseline, unit="messages/s", also={"by clients": tried}))
    return rows


@dataclass(frozen=True)
class Result:
    """What a run reached."""

    per_s: float
    p50_s: float
    p99_s: float


def _row(channels: int, senders: int, results: list[Result], baseline: list[float]) -> Row:
    return compared(
        PART,
        f"{senders} sender{'s' * (senders > 1)}, {NAMES[channels]}",
        [result.per_s for result in results],
        baseline,
        unit="messages/s",
        against="best pgbench",
        at_least=TARGETS[channels] if senders == JUDGED else None,
        also={
            "p50": milliseconds(median(result.p50_s for result in results)),
            "p99": milliseconds(median(result.p99_s for result in results)),
        },
    )


async def _write(database: Database, channels: int, senders: int, seconds: float) -> Result:
    bus = Bus()
    bus.consume("benchmark", MessageCreated, _never)  # staged like pgbench's; nobody is started to read it
    writer = Writer(database, bus, Nobody())
    before = await _heads(database)
    writer.start()
    ids = [shape.channel_id(number) for number in range(1, channels + 1)]
    run = uuid4().hex[:8]
    everybody = []
    for number in range(senders):
        user = shape.writer_id(1 + number % shape.MEMBERS)
        everybody.append(Sender(Person(user, user, user), writer, ids, f"{run}-{number}"))
    for sender in everybody:
        sender.submit()
    await asyncio.sleep(WARM_UP_S)
    for sender in everybody:
        sender.latencies.clear()
    started = perf_counter()
    await asyncio.sleep(seconds)
    elapsed = perf_counter() - started
    latencies = [latency for sender in everybody for latency in sender.latencies]
    for sender in everybody:
        sender.going = False
    await asyncio.wait_for(asyncio.gather(*(sender.idle.wait() for sender in everybody)), 30)
    await writer.stop()
    refusals = [refusal for sender in everybody for refusal in sender.refusals]
    if refusals:
        raise RuntimeError(f"{len(refusals)} messages were refused, the first with {refusals[0]!r}")
    await _check(database, before, sum(sender.submitted for sender in everybody))
    return Result(len(latencies) / elapsed, percentile(latencies, 50), percentile(latencies, 99))


async def _never(_tx: Transaction, _events: list[MessageCreated]) -> None:
    raise NotImplementedError


async def _heads(database: Database) -> dict[UUID, int]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT id, last_seq FROM chat_channels")
        return {row["id"]: row["last_seq"] for row in rows}


async def _check(database: Database, before: dict[UUID, int], submitted: int) -> None:
    """The log must have grown by exactly what was reported, without a gap."""
    after = await _heads(database)
    if sum(after.values()) - sum(before.values()) != submitted:
        raise RuntimeError("the channels' heads moved by another number of messages than were reported as stored")
    async with database.connection() as connection:
        gaps = await connection.fetchval(GAPS, list(before), list(before.values()))
    if gaps:
        raise RuntimeError(f"the log of {gaps} channels has a gap or a repeat")


GAPS = """
SELECT count(*) FROM unnest($1::uuid[], $2::bigint[]) AS b (id, seq) JOIN chat_channels c USING (id),
LATERAL (SELECT count(*) AS records FROM chat_messages m WHERE m.channel_id = c.id AND m.seq > b.seq) AS added
WHERE added.records <> c.last_seq - b.seq
"""
