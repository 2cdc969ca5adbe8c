"""Signals: heard at the commit, never after a rollback, and again after every way to lose the connection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import repeat
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil
import pytest

from kernel import signals
from kernel.database import Database
from kernel.embedded.place import PORT
from kernel.signals import Signals, notify
from tests.support.databases import execute, standing_still
from tests.support.instances import until
from tests.support.partition import Partition, partition

HEARTBEAT_S = signals.BEAT_S
FAR_TOO_LATE_S = 10
"""Two seconds are promised; a machine under load may take longer."""


class Listener:
    """Signals, and what they told."""

    def __init__(self, database: Database) -> None:
        self.signals = Signals(database)
        self.heard: list[str] = []
        self.doubts = 0
        self.signals.on("membership", self.heard.append)
        self.signals.on_doubt(self._doubt)

    def _doubt(self) -> None:
        self.doubts += 1


@pytest.fixture
async def listener(database: Database) -> AsyncIterator[Listener]:
    listener = Listener(database)
    await listener.signals.start()
    yield listener
    await listener.signals.stop()


async def tell(database: Database, *payloads: str, channel: str = "membership") -> None:
    """Notify in one transaction."""
    async with database.transaction() as tx:
        for payload in payloads:
            await notify(tx.connection, channel, payload)


async def understands(database: Database, listener: Listener) -> None:
    """Wait until a signal is heard."""
    await tell(database, "anybody there?")
    await until(lambda: listener.heard)
    listener.heard.clear()


async def test_signals_are_heard_at_the_commit_in_order(database: Database, listener: Listener) -> None:
    async with database.transaction() as tx:
        for payload in ("one", "two", ""):
            await notify(tx.connection, "membership", payload)
        await notify(tx.connection, "other", "elsewhere")
        await tell(database, "zero")
        await until(lambda: listener.heard)
        assert listener.heard == ["zero"]
    await until(lambda: len(listener.heard) == 4)
    assert listener.heard == ["zero", "one", "two", ""]
    assert (listener.doubts, listener.signals.connected) == (0, True)


async def test_a_rollback_is_silent(database: Database, listener: Listener) -> None:
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await notify(connection, "membership", "never")
        await transaction.rollback()
    await tell(database, "later")
    await until(lambda: listener.heard)
    assert listener.heard == ["later"]


async def test_every_process_hears(database: Database, listener: Listener) -> None:
    other = Listener(database)
    await other.signals.start()
    await tell(database, "one")
    await until(lambda: listener.heard and other.heard)
    await other.signals.stop()


async def test_a_handler_that_raises_hurts_no_other(dsn: str, database: Database) -> None:
    listener = Listener(database)

    def fail(*_: str) -> None:
        raise RuntimeError

    listener.signals._handlers["membership"].insert(0, fail)
    listener.signals._doubters.insert(0, fail)
    await listener.signals.start()
    await tell(database, "one", "two")
    await until(lambda: len(listener.heard) == 2)
    await execute(dsn, f"SELECT pg_terminate_backend({await listening(dsn)})")
    await until(lambda: listener.doubts)
    await listener.signals.stop()


async def test_a_payload_that_is_too_long_is_refused(database: Database) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await tell(database, "x" * 8000)


async def listening(dsn: str) -> int:
    """Return the process id of the backend that serves the signals."""
    connection = await asyncpg.connect(dsn)
    try:
        pid = await connection.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query IN ('SELECT 1', $1)",
            'LISTEN "membership"',
        )
    finally:
        await connection.close()
    assert isinstance(pid, int)
    return pid


async def test_a_killed_backend_is_replaced(dsn: str, database: Database, listener: Listener) -> None:
    for already in range(2):
        await execute(dsn, f"SELECT pg_terminate_backend({await listening(dsn)})")
        await until(lambda: listener.doubts > already)  # noqa: B023 - asked at once
        await understands(database, listener)
    assert listener.doubts == 2


async def test_what_is_said_between_two_connections_is_what_the_doubt_is_about(
    dsn: str, database: Database, listener: Listener
) -> None:
    listener.signals._waits = repeat(1.0)
    await execute(dsn, f"SELECT pg_terminate_backend({await listening(dsn)})")
    await until(lambda: not listener.signals.connected)
    await tell(database, "missed")
    await until(lambda: listener.doubts)
    await tell(database, "heard")
    await until(lambda: listener.heard)
    assert listener.heard == ["heard"]


async def test_a_backend_that_stands_still_is_replaced(dsn: str, database: Database, listener: Listener) -> None:
    backend = psutil.Process(await listening(dsn))
    backend.suspend()
    try:
        await until(lambda: listener.doubts == 1)
        await understands(database, listener)
    finally:
        backend.resume()


async def test_a_postgres_that_stands_still_is_noticed(dsn: str, database: Database, listener: Listener) -> None:
    with standing_still(psutil.Process(await listening(dsn)).ppid()):
        await until(lambda: not listener.signals.connected, FAR_TOO_LATE_S)
        assert listener.doubts == 0
    await until(lambda: listener.doubts == 1)
    await understands(database, listener)


@pytest.fixture
def network(dsn: str) -> Iterator[Partition]:
    """What connects one process to PostgreSQL."""
    with partition(f"{parse_qs(urlsplit(dsn).query)['host'][0]}/.s.PGSQL.{PORT}") as network:
        yield network


@pytest.fixture
async def remote(dsn: str, network: Partition) -> AsyncIterator[Listener]:
    """Listens through the network."""
    name = urlsplit(dsn).path
    far = await Database.connect(f"postgresql://postgres@127.0.0.1:{network.port}{name}", size=1)
    listener = Listener(far)
    await listener.signals.start()
    yield listener
    await listener.signals.stop()
    network.heal()
    await far.close()


@pytest.mark.parametrize("fail", [Partition.stall, Partition.cut], ids=["stalled", "cut"])
async def test_a_partition_is_noticed_and_passes(
    database: Database, remote: Listener, network: Partition, fail: Callable[[Partition], None]
) -> None:
    await understands(database, remote)
    fail(network)
    await until(lambda: not remote.signals.connected, FAR_TOO_LATE_S)
    await tell(database, "missed")
    network.heal()
    await until(lambda: remote.doubts == 1)
    await understands(database, remote)


async def test_without_heartbeats_a_partition_would_go_unnoticed(
    remote: Listener, network: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: nobody asks whether PostgreSQL is still there."""
    monkeypatch.setattr(signals, "BEAT_S", 1000)
    await asyncio.sleep(2 * HEARTBEAT_S)  # the sleep that has begun is as long as ever
    network.stall()
    with pytest.raises(TimeoutError):
        await until(lambda: not remote.signals.connected, 4)


async def test_it_starts_without_postgres_and_finds_it_later(remote: Listener, network: Partition) -> None:
    await remote.signals.stop()
    network.cut()
    await remote.signals.start()
    assert not remote.signals.connected
    network.heal()
    await until(lambda: remote.doubts == 1)


async def test_stopping_leaves_nothing_behind(dsn: str, database: Database) -> None:
    before = asyncio.all_tasks()
    listener = Listener(database)
    await listener.signals.start()
    backend = psutil.Process(await listening(dsn))
    await listener.signals.stop()
    await listener.signals.stop()
    assert asyncio.all_tasks() == before
    await until(lambda: not backend.is_running())
    await tell(database, "to nobody")
    assert listener.heard == []
