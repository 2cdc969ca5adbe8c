"""Two instances, their Redis and their PostgreSQL, and the troubles that they have.

Clients reach each instance by a line of its own, whose address stays the same over restarts and which may be cut.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import asyncpg
import msgspec
import psutil

from tests.simulation.plan import REDIS_TROUBLES, Step
from tests.support.databases import databases
from tests.support.partition import Partition, partition
from tests.support.redis_server import RedisServer, running_redis
from tests.support.servers import Host, Server, running_server

BACK_WITHIN_S = 30
KILL_BACKENDS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class World(msgspec.Struct):
    """What a simulation runs on. Without Redis there is one instance only.

    Args:
        dsn: the database.
        servers: the instances.
        lines: how clients reach each of them.
        key: the host's.
        redis: what the instances tell each other by.
        network: the second one's way there.
        postmaster: finds the PostgreSQL that may be killed.
        patience_s: how long what is bound to happen may take.
    """

    dsn: str
    servers: list[Server]
    lines: list[Partition]
    key: str
    redis: RedisServer | None = None
    network: Partition | None = None
    postmaster: Callable[[], int] | None = None
    patience_s: float = 30.0
    _stopped: list[psutil.Process] = []

    @property
    def urls(self) -> list[str]:
        """Where clients go: to each instance."""
        return [f"http://127.0.0.1:{line.port}" for line in self.lines]

    @property
    def host(self) -> Host:
        """The host's back end."""
        return Host(self.servers[0], self.key)

    async def suffer(self, step: Step) -> None:
        """Begin a trouble, and end it after its time."""
        await asyncio.to_thread(self._begin, step)
        if step.value == "backends_killed":
            await self._kill_backends()
        await asyncio.sleep(step.for_ms / 1000)
        await asyncio.to_thread(self._end, step)
        if step.value == "postgres_killed":
            await self._postgres_is_back()

    def _begin(self, step: Step) -> None:
        server, line = self._place(step)
        match step.value:
            case "killed":
                server.kill()
            case "stopped":
                server.stop()
            case "paused":
                psutil.Process(server.pid).suspend()
            case "cut":
                line.cut()
            case "postgres_paused":
                self._stopped = self._backends()
                _each(self._stopped, psutil.Process.suspend)
            case "postgres_killed" if self.postmaster is not None:
                os.kill(self.postmaster(), signal.SIGKILL)
            case trouble if trouble in REDIS_TROUBLES and self.redis is not None and self.network is not None:
                begin = {"killed": self.redis.kill, "paused": self.redis.pause}
                network = {"cut": self.network.cut, "stalled": self.network.stall}
                (begin | network)[trouble.removeprefix("redis_")]()

    def _end(self, step: Step) -> None:
        server, line = self._place(step)
        match step.value:
            case "killed" | "stopped":
                server.start()
                line.lead_to(server.port)
            case "paused":
                psutil.Process(server.pid).resume()
            case "cut":
                line.heal()
            case "postgres_paused":
                _each(self._stopped, psutil.Process.resume)
            case trouble if trouble in REDIS_TROUBLES and self.redis is not None and self.network is not None:
                end = {"killed": self.redis.start, "paused": self.redis.resume}
                network = {"cut": self.network.heal, "stalled": self.network.heal}
                (end | network)[trouble.removeprefix("redis_")]()

    def _place(self, step: Step) -> tuple[Server, Partition]:
        at = step.device % len(self.servers)
        return self.servers[at], self.lines[at]

    def _backends(self) -> list[psutil.Process]:
        return [] if self.postmaster is None else psutil.Process(self.postmaster()).children(recursive=True)

    async def _kill_backends(self) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(KILL_BACKENDS)
        finally:
            await connection.close()

    async def _postgres_is_back(self) -> None:
        async with asyncio.timeout(BACK_WITHIN_S):
            while True:
                try:
                    connection = await asyncpg.connect(self.dsn)
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.05)
                else:
                    await connection.close()
                    return


def _each(processes: Iterable[psutil.Process], do: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            do(process)


@contextmanager
def a_world(
    dsn: str, directory: Path, *, variant: str | None = None, postmaster: Callable[[], int] | None = None
) -> Iterator[World]:
    """Run two instances on a database, with a Redis that the second one has a line of its own to."""
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(directory))
        network = stack.enter_context(partition(redis.port))
        ways = (redis.url, f"redis://127.0.0.1:{network.port}")
        servers = [
            stack.enter_context(running_server(dsn, directory / name, variant=variant, REDIS_URL=way, **SETTINGS))
            for name, way in zip(("one", "two"), ways, strict=True)
        ]
        yield _world(stack, dsn, servers, redis=redis, network=network, postmaster=postmaster)


@contextmanager
def a_mortal_world(directory: Path) -> Iterator[World]:
    """Run two instances on a PostgreSQL of their own, which may be killed."""

    def postmaster() -> int:
        return int(next(directory.rglob("postmaster.pid")).read_text().split()[0])

    with (
        databases(directory / "postgres") as mortal,
        mortal.fresh() as dsn,
        a_world(dsn, directory, postmaster=postmaster) as world,
    ):
        yield world


@contextmanager
def a_small_world(dsn: str, directory: Path, *, variant: str | None = None) -> Iterator[World]:
    """Run one instance, and no Redis."""
    with ExitStack() as stack:
        server = stack.enter_context(running_server(dsn, directory / "one", variant=variant, **SETTINGS))
        yield _world(stack, dsn, [server])


SETTINGS = {"PARLEY_REQUIRE_CONTACT": "false"}


def _world(
    stack: ExitStack,
    dsn: str,
    servers: list[Server],
    *,
    redis: RedisServer | None = None,
    network: Partition | None = None,
    postmaster: Callable[[], int] | None = None,
) -> World:
    lines = [stack.enter_context(partition(server.port)) for server in servers]
    key = servers[0].cli("keys", "create", "simulation")
    return World(dsn, servers, lines, key, redis, network, postmaster)
