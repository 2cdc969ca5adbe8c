"""Defends: 2,000 clients that come back at once are all live within 10 s at p99, and are told nothing but to wait.

Twice: after the server was killed and started again, its clients waiting with full jitter as `parley_client` does, from
the moment at which it listens; and with a server that is there, all in the same moment. A client is live when it is let
in and has resumed its channel. Those refused wait for as long as they were told, and jitter.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from statistics import median
from time import perf_counter

import psutil

from benchmarks import servers, shape
from benchmarks.host import Host
from benchmarks.load.catching_up import Returning, come
from benchmarks.load.sockets import RefusedError
from benchmarks.load.stats import percentile
from benchmarks.load.transports import close_all, open_all
from benchmarks.machine import LOAD_CORE, allow_many_files
from benchmarks.postgres import Postgres
from benchmarks.processes import free_port
from benchmarks.report import Row, limited, skipped
from benchmarks.servers import Server
from parley_client.backoff import Backoff

PART = "Everybody comes back"
MEMBERS = 20
AT_MOST_S = 10.0
TOLD_TO_WAIT = {"503", "1013"}
CLOSE_CODES = range(1000, 5000)
RETRY_AFTER = re.compile(rb"^retry-after: (\d+)", re.IGNORECASE | re.MULTILINE)
BACKOFF = Backoff()
"""As clients wait unless told otherwise."""
SPARE_FILES = 200
SETTLE_S = 1.0

Start = Callable[[], AbstractContextManager[Server]]


@dataclass
class Storm:
    """What a storm was like; times in seconds, from its beginning, None until then."""

    began: float | None = None
    started_within_s: float = 0.0
    live_after: list[float] = field(default_factory=list)
    let_in_within: list[float] = field(default_factory=list)
    """Of these, what the attempt took that wasn't in vain: the rest is the clients' own waiting."""
    refusals: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        """From now on there is a server."""
        self.began = perf_counter()

    def live(self, asked: float) -> None:
        """One more is, who asked at that time."""
        now = perf_counter()
        self.live_after.append(0.0 if self.began is None else now - self.began)
        self.let_in_within.append(now - asked)

    def refused(self, what: str) -> None:
        """One more is told to go; that there is nobody to tell them anything doesn't count."""
        if self.began is not None:
            self.refusals[what] += 1

    @property
    def errors(self) -> int:
        """How many were told something other than to wait."""
        return sum(count for what, count in self.refusals.items() if what not in TOLD_TO_WAIT)


@dataclass(frozen=True)
class Client:
    """Somebody with a channel."""

    token: str
    channel_id: str


async def measure(postgres: Postgres, key: str, *, clients: int, rounds: int) -> list[Row]:
    """Return the rows of both storms."""
    if allow_many_files() < clients + SPARE_FILES:
        return [skipped(PART, "everything", f"only {allow_many_files()} files may be open: raise `ulimit -n`")]
    with servers.parley(postgres.dsn) as server:
        crowd = _crowd(Host(server.port, key), clients)
    restarts, rushes = [], []
    for _ in range(rounds):
        with ExitStack() as stack:
            start = partial(servers.parley, postgres.dsn, port=free_port())
            server = stack.enter_context(start())
            with postgres.on_cores(LOAD_CORE):
                restarts.append(await _restart(stack, start, server, crowd))
                rushes.append(await _rush(server, crowd))
    return [*_rows("after a restart, with jitter", restarts), *_rows("all in one moment", rushes)]


def _crowd(host: Host, clients: int) -> list[Client]:
    people = [shape.user_id(number) for number in range(1, clients + 1)]
    tokens = host.people(people)
    crowd = []
    for start in range(0, clients, MEMBERS):
        members = people[start : start + MEMBERS]
        channel = host.booking(f"storm-{start}", members, "Hello")
        crowd += [Client(tokens[member], channel) for member in members]
    return crowd


async def _restart(stack: ExitStack, start: Start, server: Server, crowd: Sequence[Client]) -> Storm:
    """Kill the server and start it again, with everybody connected before; `stack` ends the new one."""
    storm = Storm()
    before = await open_all((server, client.token) for client in crowd)
    killed = perf_counter()
    await asyncio.to_thread(_kill, server)
    coming = [asyncio.create_task(_come_back(server, client, storm, BACKOFF.delay_s(0))) for client in crowd]
    await asyncio.to_thread(stack.enter_context, start())
    storm.begin()
    storm.started_within_s = perf_counter() - killed
    await _all_stay(await asyncio.gather(*coming), storm)
    await close_all(before)
    return storm


def _kill(server: Server) -> None:
    process = psutil.Process(server.pid)
    process.kill()
    process.wait()


async def _rush(server: Server, crowd: Sequence[Client]) -> Storm:
    """Have everybody come in one moment."""
    storm = Storm()
    storm.begin()
    await _all_stay(await asyncio.gather(*(_come_back(server, client, storm, 0.0) for client in crowd)), storm)
    return storm


async def _come_back(server: Server, client: Client, storm: Storm, wait_s: float) -> Returning:
    """Connect and resume, waiting after each attempt in vain as clients do."""
    for attempt in count(1):
        await asyncio.sleep(wait_s)
        asked = perf_counter()
        try:
            returning = await come(server, client.token)
            await returning.resume({client.channel_id: 0})
        except (RefusedError, OSError) as error:
            what, wait_s = _understood(error)
            storm.refused(what)
            wait_s = BACKOFF.delay_s(attempt, wait_s)
        else:
            break
    storm.live(asked)
    return returning


def _understood(error: Exception) -> tuple[str, float]:
    """Return what somebody was told: a status, a close code or less, and how long to stay away."""
    answer: bytes = error.args[0] if isinstance(error, RefusedError) else b""
    if answer.startswith(b"HTTP/1.1 "):
        asked = RETRY_AFTER.search(answer)
        return answer[9:12].decode(), float(asked[1]) if asked else 0.0
    code = int.from_bytes(answer[:2], "big")
    return (str(code) if code in CLOSE_CODES else "lost"), 0.0


async def _all_stay(clients: Sequence[Returning], storm: Storm) -> None:
    """Who was live and isn't any more counts as an error; then all go."""
    await asyncio.sleep(SETTLE_S)
    for client in clients:
        if client.lost:
            storm.refused("lost when live")
        client.close()
    await asyncio.sleep(SETTLE_S)


def _rows(what: str, storms: Sequence[Storm]) -> list[Row]:
    clients = f"{len(storms[0].live_after):,} clients, {what}"
    live = [percentile(storm.live_after, 99) for storm in storms]
    row = limited(PART, f"{clients}: 99 % are live", live, unit="s", at_most=AT_MOST_S)
    row.also["half"] = f"{median(percentile(storm.live_after, 50) for storm in storms):.1f} s"
    row.also["let in when they asked, 99 %"] = (
        f"{median(percentile(storm.let_in_within, 99) for storm in storms):.1f} s"
    )
    row.also["all"] = f"{median(max(storm.live_after) for storm in storms):.1f} s"
    if storms[0].started_within_s:
        row.also["the server's own start"] = f"{median(storm.started_within_s for storm in storms):.1f} s"
    errors = limited(PART, f"{clients}: errors", [storm.errors for storm in storms], unit="errors", at_most=0)
    told = sum((storm.refusals for storm in storms), Counter())
    errors.also.update({f"answered {kind}": float(count) for kind, count in sorted(told.items())})
    return [row, errors]
