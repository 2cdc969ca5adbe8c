"""The writer: seqs 1..N whoever races, each client_id once, a bad send alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from kernel.database import Database
from kernel.errors import ParleyError, UnavailableError
from modules.messaging.errors import ChannelNotFoundError, ClientIdConflictError
from modules.messaging.writer import Stored
from modules.messaging.writer import writer as writer_module
from tests.support import broken
from tests.support.databases import execute
from tests.support.log import damage, read
from tests.support.pens import Pen, make_context, pen

PEOPLE = dict.fromkeys((f"u{n}" for n in range(8)), "worker")
EACH = 15


async def test_writers_of_two_processes_share_one_channel(dsn: str, database: Database) -> None:
    await make_context(database, "b1", PEOPLE)
    async with two_pens(dsn, database) as pens:
        refused = await race(pens)
    log = await read(dsn, "b1")
    assert refused == []
    assert len(log.records) == 2 * EACH * len(PEOPLE)
    assert damage(log) == []


async def test_the_check_finds_two_writers_without_the_row_lock(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant. Without the lock only the table's key would stand in the way, so it goes too."""
    broken.no_row_lock(monkeypatch.setattr)
    await execute(dsn, "ALTER TABLE chat_messages DROP CONSTRAINT pk_chat_messages")
    await make_context(database, "b1", PEOPLE)
    found: list[str] = []
    async with two_pens(dsn, database) as pens, asyncio.timeout(20):
        while not any(fault.startswith("places") for fault in found):
            await race(pens)
            found = damage(await read(dsn, "b1"))


async def test_without_the_row_lock_the_table_refuses_rather_than_doubles(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.no_row_lock(monkeypatch.setattr)
    await make_context(database, "b1", PEOPLE)
    async with two_pens(dsn, database) as pens:
        await race(pens)
    records = (await read(dsn, "b1")).records
    assert [record.seq for record in records] == list(range(1, len(records) + 1))


async def test_thirty_first_messages_make_one_channel(dsn: str, database: Database) -> None:
    await make_context(database, "b1", PEOPLE)
    async with two_pens(dsn, database) as pens:
        outcomes = await asyncio.gather(*(pens[n % 2].stored("b1", f"u{n % 8}", f"c{n}") for n in range(30)))
    assert sorted(outcome.record.seq for outcome in outcomes) == list(range(1, 31))
    assert damage(await read(dsn, "b1")) == []
    assert await database.pool.fetchval("SELECT count(*) FROM chat_channels") == 1


async def test_what_somebody_sends_in_a_row_keeps_its_order_while_the_channel_is_made(
    dsn: str, database: Database
) -> None:
    """More than a batch waits when the channel becomes known: what comes later must not overtake it."""
    for booking in (f"b{n}" for n in range(8)):
        await make_context(database, booking, PEOPLE)
        async with pen(database) as p:
            sent = [p.submit(booking, "u1", f"{n:04}") for n in range(600)]
            first = await sent[0]
            assert isinstance(first, Stored)
            for n in range(600, 700):  # by either name of the channel
                target = first.record.channel_id if n % 2 else booking
                sent.append(p.submit(target, "u1", f"{n:04}"))
            await asyncio.gather(*sent)
        log = await read(dsn, booking)
        assert [record.client_id for record in log.records] == [f"{n:04}" for n in range(700)]


async def test_one_client_id_is_one_record_however_it_is_repeated(dsn: str, database: Database) -> None:
    await make_context(database, "b1", PEOPLE)
    async with two_pens(dsn, database) as pens:
        assert len(await same_client_id(pens)) == 1
        again = await pens[0].stored("b1", "u1", "c")
        other = await pens[0].stored("b1", "u2", "c", "another sender's")
    assert again.repeated
    assert not other.repeated
    log = await read(dsn, "b1")
    assert [record.seq for record in log.records] == [1, 2]
    assert damage(log) == []


async def test_the_check_finds_a_client_id_stored_twice(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant. Without the look-up only the table's key would stand in the way, so it goes too."""
    broken.no_client_id_check(monkeypatch.setattr)
    await execute(dsn, "ALTER TABLE chat_messages DROP CONSTRAINT uq_chat_messages_channel_id_sender_id_client_id")
    await make_context(database, "b1", PEOPLE)
    async with two_pens(dsn, database) as pens:
        assert len(await same_client_id(pens)) > 1
    assert "twice: c" in damage(await read(dsn, "b1"))


async def test_repeats_and_conflicts_within_one_batch(database: Database) -> None:
    await make_context(database, "b1", PEOPLE)
    async with pen(database) as p:
        sent = [p.submit("b1", "u1", "c", content) for content in ("one", "one", "two", "one")]
        first, again, other, last = await asyncio.gather(*sent)
    assert isinstance(first, Stored)
    assert isinstance(again, Stored)
    assert isinstance(last, Stored)
    assert (first.repeated, again.repeated, last.repeated) == (False, True, True)
    assert first.record == again.record == last.record
    assert isinstance(other, ClientIdConflictError)


async def test_a_bad_send_fails_alone(dsn: str, database: Database) -> None:
    """U+0000 is refused at the edge; here it stands for whatever PostgreSQL won't store."""
    await make_context(database, "b1", PEOPLE)
    async with pen(database) as p:
        sent = [p.submit("b1", "u1", f"c{n}", "bad\x00" if n in {0, 3} else "good") for n in range(6)]
        outcomes = await asyncio.gather(*sent)
        strange = await p.submit("b1", "nobody", "c")
        await p.stored("b1", "u1", "c9")
    assert [isinstance(outcome, Stored) for outcome in outcomes] == [False, True, True, False, True, True]
    assert isinstance(strange, ChannelNotFoundError)
    log = await read(dsn, "b1")
    assert [record.seq for record in log.records] == [1, 2, 3, 4, 5]
    assert damage(log) == []


async def test_what_is_queued_when_it_stops_is_written_and_what_comes_later_is_refused(
    dsn: str, database: Database
) -> None:
    await make_context(database, "b1", PEOPLE)
    async with pen(database) as p:
        sent = [p.submit("b1", "u1", f"c{n}") for n in range(1000)]
        await p.writer.stop()
        with pytest.raises(UnavailableError):
            p.submit("b1", "u1", "late")
    assert all(isinstance(outcome, Stored) for outcome in await asyncio.gather(*sent))
    assert (await read(dsn, "b1")).last_seq == 1000


async def test_a_full_queue_refuses_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING", 5)
    await make_context(database, "b1", PEOPLE)
    async with pen(database) as p:
        sent = [p.submit("b1", "u1", f"c{n}") for n in range(5)]
        with pytest.raises(UnavailableError):
            p.submit("b1", "u1", "c5")
        await asyncio.gather(*sent)
        await p.stored("b1", "u1", "c5")


async def test_time_never_runs_backwards_in_a_channel(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_context(database, "b1", PEOPLE)
    async with pen(database) as p:
        await p.stored("b1", "u1", "c1")
        await execute(dsn, "UPDATE chat_channels SET last_record_at = last_record_at + interval '1 hour'")
    async with pen(database) as p:
        for n in range(2, 5):
            await p.stored("b1", "u1", f"c{n}")
    moments = [record.created_at for record in (await read(dsn, "b1")).records]
    assert moments[1:] == sorted(moments)[1:]
    assert (moments[1] - moments[0]).total_seconds() >= 3600


@asynccontextmanager
async def two_pens(dsn: str, database: Database) -> AsyncIterator[list[Pen]]:
    """Two writers that know nothing of each other, as in two processes."""
    other = await Database.connect(dsn, size=2)
    try:
        async with pen(database) as first, pen(other) as second:
            yield [first, second]
    finally:
        await other.close()


async def race(pens: list[Pen]) -> list[ParleyError]:
    """Let everybody write through every writer at once; returns the refusals."""

    async def write(p: Pen, user: str) -> list[Any]:
        return [await p.submit("b1", user, uuid4().hex) for _ in range(EACH)]

    told = await asyncio.gather(*(write(p, user) for p in pens for user in PEOPLE))
    return [outcome for outcomes in told for outcome in outcomes if isinstance(outcome, ParleyError)]


async def same_client_id(pens: list[Pen]) -> set[tuple[int, Any]]:
    """Send one client_id thirty times at once; returns the places that were told."""
    outcomes = await asyncio.gather(*(pens[n % 2].stored("b1", "u1", "c") for n in range(30)))
    return {(outcome.record.seq, outcome.record.id) for outcome in outcomes}
