"""The parts of the benchmark, each on a database of its own: a figure doesn't depend on which others were taken."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import (
    alerts,
    contacts,
    end_to_end,
    fanout,
    inbox,
    instances,
    machine,
    outage,
    resume,
    search,
    servers,
    shape,
    sockets,
    stalled,
    storm,
    writer,
)
from benchmarks.host import Host
from benchmarks.postgres import Postgres
from benchmarks.report import Row
from kernel.database import Database


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    parts: tuple[str, ...]
    rounds: int
    seconds: int
    sockets: int
    """Idle ones."""
    crowd: int
    """Clients that come back at once."""
    readers: int
    """Of a channel in which one in twenty stalls."""
    outage_s: float
    """How long Redis is away."""

    @property
    def few_rounds(self) -> int:
        """Rounds of what takes long to prepare."""
        return min(self.rounds, 2)


@dataclass(frozen=True)
class Bench:
    """What a part measures with."""

    plan: Plan
    postgres: Postgres
    database: Database
    key: str
    """Of the API."""


async def _writer(bench: Bench) -> list[Row]:
    plan = bench.plan
    with machine.own_cores(machine.ALL_CORES):
        return await writer.measure(bench.postgres, bench.database, rounds=plan.rounds, seconds=plan.seconds)


async def _end_to_end(bench: Bench) -> list[Row]:
    with servers.parley(bench.postgres.dsn) as server:
        host, plan = Host(server.port, bench.key), bench.plan
        return await end_to_end.measure(server, host, bench.postgres, rounds=plan.rounds, seconds=plan.seconds)


async def _fanout(bench: Bench) -> list[Row]:
    with servers.parley(bench.postgres.dsn) as server:
        host, plan = Host(server.port, bench.key), bench.plan
        return await fanout.measure(server, host, bench.postgres, rounds=plan.rounds, seconds=plan.seconds)


async def _sockets(bench: Bench) -> list[Row]:
    dsn = bench.postgres.dsn
    with servers.parley(dsn) as server:
        people = [shape.user_id(number) for number in range(1, bench.plan.sockets + 1)]
        tokens = Host(server.port, bench.key).people(people)
    kinds: dict[str, sockets.Running] = {
        "Parley": partial(servers.parley, dsn),
        servers.OURS: partial(servers.broadcasting, b"{}"),
        servers.NODE: partial(servers.node, b"{}"),
    }
    return await sockets.measure(kinds, list(tokens.values()), rounds=bench.plan.rounds)


async def _resume(bench: Bench) -> list[Row]:
    return await resume.measure(bench.postgres, bench.key, bench.database, rounds=bench.plan.rounds)


async def _storm(bench: Bench) -> list[Row]:
    return await storm.measure(bench.postgres, bench.key, clients=bench.plan.crowd, rounds=bench.plan.few_rounds)


async def _stalled(bench: Bench) -> list[Row]:
    return await stalled.measure(bench.postgres, bench.key, readers=bench.plan.readers, rounds=bench.plan.rounds)


async def _instances(bench: Bench) -> list[Row]:
    plan = bench.plan
    return await instances.measure(bench.postgres, bench.key, rounds=plan.few_rounds, seconds=plan.seconds)


async def _outage(bench: Bench) -> list[Row]:
    return await outage.measure(bench.postgres, bench.key, away_s=bench.plan.outage_s)


async def _inbox(bench: Bench) -> list[Row]:
    with servers.parley(bench.postgres.dsn) as server, bench.postgres.on_cores(machine.LOAD_CORE):
        return await inbox.measure(server, Host(server.port, bench.key), bench.database, rounds=bench.plan.rounds)


async def _search(bench: Bench) -> list[Row]:
    with machine.own_cores(machine.ALL_CORES):
        return await search.measure(bench.database, rounds=bench.plan.rounds)


async def _alerts(bench: Bench) -> list[Row]:
    plan, database = bench.plan, bench.database
    with machine.own_cores(machine.ALL_CORES):
        rows = await alerts.measure(database, rounds=plan.few_rounds)
    with servers.parley(bench.postgres.dsn) as server:
        host = Host(server.port, bench.key)
        rows.append(
            await alerts.flood(server, host, bench.postgres, database, rounds=plan.rounds, seconds=plan.seconds)
        )
    return rows


async def _contacts(bench: Bench) -> list[Row]:
    plan, database = bench.plan, bench.database
    with servers.parley(bench.postgres.dsn) as server, bench.postgres.on_cores(machine.LOAD_CORE):
        host = Host(server.port, bench.key)
        rows = await contacts.measure(server, host, database, rounds=plan.rounds)
        return rows + await contacts.expiry(server, host, database, rounds=plan.few_rounds)


PARTS: dict[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    "writer": _writer,
    "e2e": _end_to_end,
    "fanout": _fanout,
    "sockets": _sockets,
    "resume": _resume,
    "storm": _storm,
    "stalled": _stalled,
    "instances": _instances,
    "outage": _outage,
    "inbox": _inbox,
    "search": _search,
    "alerts": _alerts,
    "contacts": _contacts,
}
