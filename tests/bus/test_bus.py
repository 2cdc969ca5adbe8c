"""The bus: an event and its change together or not at all; every event handled, its effects once; nobody hurt."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec
import pytest

from bus import Bus, Event, consumer, outbox
from kernel.database import Database, Transaction
from tests.support.events import CONSUMER, Happened, handle, note, noted, publish, waiting
from tests.support.servers import Server, environment

MANY = 300


class OutsideBus(Bus):
    """A broken variant: stages events in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def publish(self, tx: Transaction, *events: Event) -> None:  # noqa: ARG002 - that is the fault
        """Publish, whatever becomes of `tx`."""
        async with self._database.transaction() as own:
            await super().publish(own, *events)


async def test_an_event_and_its_change_commit_together_or_not_at_all(effects: Database) -> None:
    assert await halves(effects, Bus()) == []


async def test_the_same_check_finds_events_that_are_published_outside(effects: Database) -> None:
    assert await halves(effects, OutsideBus(effects)) != []


async def test_live_subscribers_hear_after_the_commit_in_order_and_not_after_a_rollback(effects: Database) -> None:
    bus, heard = Bus(), list[int]()

    def fail(_: Happened) -> None:
        raise RuntimeError

    bus.on(Happened, fail)
    bus.on(Happened, lambda event: heard.append(event.n))
    async with effects.transaction() as tx:
        await bus.publish(tx, Happened(n=1), Happened(n=2))
        assert heard == []
    with suppress(ZeroDivisionError):
        async with effects.transaction() as tx:
            await bus.publish(tx, Happened(n=3))
            fail_with(ZeroDivisionError)
    assert heard == [1, 2]


async def test_two_processes_share_an_outbox_and_each_effect_is_there_once(
    effects: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await shared(effects, dsn, monkeypatch) == Counter(range(MANY))
    assert await waiting(effects) == 0


async def test_the_same_check_finds_rows_that_two_claim(
    effects: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: rows are read without being locked."""
    monkeypatch.setattr(outbox, "CLAIM", outbox.CLAIM.replace("FOR UPDATE SKIP LOCKED", ""))
    assert await shared(effects, dsn, monkeypatch) != Counter(range(MANY))


@pytest.mark.parametrize("error", [RuntimeError, KeyError, TimeoutError, ConnectionError, OSError])
async def test_a_bad_event_fails_alone_and_comes_back(
    effects: Database, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    monkeypatch.setattr(consumer, "backoff_s", lambda _: 0.01)
    failures = 3

    async def fragile(tx: Transaction, events: list[Happened]) -> None:
        nonlocal failures
        await handle(tx, events)
        if failures and any(event.n == 7 for event in events):
            failures -= 1
            raise error

    async with serving(effects, fragile) as bus:
        await publish(effects, bus, *range(20))
        await until(effects, lambda left: left == 0)
    assert failures == 0
    assert await noted(effects) == Counter(range(20))


async def test_one_that_never_succeeds_is_put_off_longer_and_longer_and_then_buried(
    effects: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "MAX_ATTEMPTS", 4)
    asked = list[int]()

    def soon(attempts: int) -> float:
        asked.append(attempts)
        return 0.01

    monkeypatch.setattr(consumer, "backoff_s", soon)

    async def hopeless(_tx: Transaction, _events: list[Happened]) -> None:
        raise RuntimeError("with words of somebody's")

    async with serving(effects, hopeless) as bus:
        await publish(effects, bus, 1)
        await until_dead(effects)
    row = await effects.pool.fetchrow("SELECT attempts, last_error FROM bus_outbox")
    assert asked == [1, 2, 3, 4]
    assert dict(row or {}) == {"attempts": 4, "last_error": "RuntimeError"}


def test_the_pauses_double_with_jitter_and_have_an_end() -> None:
    for attempts in range(1, 30):
        ceiling = min(consumer.MAX_BACKOFF_S, 2.0**attempts)
        pauses = [consumer.backoff_s(attempts) for _ in range(50)]
        assert all(ceiling / 2 <= pause <= ceiling for pause in pauses)
        assert len(set(pauses)) > 1


async def test_what_nobody_can_read_is_buried_at_once(effects: Database) -> None:
    await effects.pool.execute(
        """INSERT INTO bus_outbox (id, consumer, event_type, payload, staged_at, available_at)
        SELECT gen_random_uuid(), $1, type, '{"n": "x"}', now(), now()
        FROM unnest(ARRAY['test.thing.happened', 'test.thing.unheard.of']) AS type""",
        CONSUMER,
    )
    async with serving(effects, handle) as bus:
        await publish(effects, bus, 1)
        await until_dead(effects, 2)
        await until(effects, lambda left: left == 2)
    assert await noted(effects) == Counter([1])


async def test_operators_list_dead_events_and_give_them_a_new_life(
    effects: Database, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "MAX_ATTEMPTS", 1)
    healed = False

    async def ailing(tx: Transaction, events: list[Happened]) -> None:
        if not healed:
            raise RuntimeError
        await handle(tx, events)

    parley = Server(environment(dsn, tmp_path), tmp_path / "log")
    async with serving(effects, ailing) as bus:
        await publish(effects, bus, 1, 2, 3)
        await until_dead(effects, 3)
        lines = (await asyncio.to_thread(parley.cli, "outbox", "list", "--dead")).splitlines()
        healed = True
        assert await asyncio.to_thread(parley.cli, "outbox", "replay", lines[0].split()[0]) == "1 replayed."
        await until(effects, lambda left: left == 2)
        assert await asyncio.to_thread(parley.cli, "outbox", "replay", "--all") == "2 replayed."
        await until(effects, lambda left: left == 0)
    assert len(lines) == 3
    assert all("dead" in line and "test.thing.happened" in line and "RuntimeError" in line for line in lines)
    assert await noted(effects) == Counter([1, 2, 3])


async def halves(database: Database, bus: Bus) -> list[str]:
    """Commit a change with its event, and roll another back; return what is there without its other half."""
    bus.consume(CONSUMER, Happened, handle)
    for n in (1, 2):
        with suppress(ZeroDivisionError):
            async with database.transaction() as tx:
                await note(tx.connection, n, "publisher")
                await bus.publish(tx, Happened(n=n))
                if n == 2:
                    fail_with(ZeroDivisionError)
    changes = await noted(database, "publisher")
    assert changes == Counter([1])
    payloads = await database.pool.fetch("SELECT payload FROM bus_outbox")
    events = Counter(msgspec.json.decode(row["payload"], type=Happened).n for row in payloads)
    return [f"{n}: {changes[n]} changes, {events[n]} events" for n in (1, 2) if changes[n] != events[n]]


def fail_with(error: type[Exception]) -> None:
    """Fail."""
    raise error


async def shared(database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Have two processes handle many events in small batches; returns how often each had its effect."""
    monkeypatch.setattr(consumer, "BATCH", 10)
    publisher = Bus()
    publisher.consume(CONSUMER, Happened, handle)
    await publish(database, publisher, *range(MANY))
    other = await Database.connect(dsn, size=4)
    try:
        async with serving(database, slowly), serving(other, slowly):
            await until(database, lambda left: left == 0)
    finally:
        await other.close()
    return await noted(database)


async def slowly(tx: Transaction, events: list[Happened]) -> None:
    """Handle events, with time for another process to come in between."""
    await asyncio.sleep(0.02)
    await handle(tx, events)


Handler = Callable[[Transaction, list[Happened]], Awaitable[None]]


@asynccontextmanager
async def serving(database: Database, handler: Handler) -> AsyncIterator[Bus]:
    """Run a consumer."""
    bus = Bus()
    bus.consume(CONSUMER, Happened, handler)
    bus.start(database)
    try:
        yield bus
    finally:
        await bus.stop()


async def until(database: Database, enough: Callable[[int], bool]) -> None:
    """Wait until the outbox is as empty as wanted."""
    async with asyncio.timeout(20):
        while not enough(await waiting(database)):
            await asyncio.sleep(0.01)


async def until_dead(database: Database, count: int = 1) -> None:
    """Wait until that many events are given up."""
    async with asyncio.timeout(20):
        while await database.pool.fetchval("SELECT count(*) FROM bus_outbox WHERE dead_at IS NOT NULL") < count:
            await asyncio.sleep(0.01)


async def test_an_event_that_nobody_wants_at_present_is_not_staged(effects: Database) -> None:
    bus, wants = Bus(), {"tests": True, "others": False}
    for name in wants:
        bus.consume(name, Happened, handle, wanted=partial(wants.__getitem__, name))
    await publish(effects, bus, 1)
    assert await staged_for(effects) == Counter({"tests": 1})
    wants |= {"tests": False}
    await publish(effects, bus, 2)
    assert await staged_for(effects) == Counter({"tests": 1})
    wants |= {"others": True}
    await publish(effects, bus, 3)
    assert await staged_for(effects) == Counter({"tests": 1, "others": 1})


async def test_live_subscribers_hear_also_what_no_consumer_wants(effects: Database) -> None:
    bus, heard = Bus(), list[int]()
    bus.consume(CONSUMER, Happened, handle, wanted=lambda: False)
    bus.on(Happened, lambda event: heard.append(event.n))
    await publish(effects, bus, 1, 2)
    assert heard == [1, 2]
    assert await waiting(effects) == 0


async def staged_for(database: Database) -> Counter[str]:
    """Return how many events wait for each consumer."""
    return Counter(row["consumer"] for row in await database.pool.fetch("SELECT consumer FROM bus_outbox"))
