"""The index follows the log: beside it, without holes, whoever is killed or works on it, too."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from kernel.database import Database
from modules.messaging.search import indexer as indexer_module
from modules.messaging.search import indexing, store
from modules.messaging.search.indexer import Indexer
from modules.messaging.search.indexing import index, rebuild
from tests.modules.messaging.search.library import Library, library
from tests.support.servers import Host, running_server

PROGRESS = """
SELECT count(*) FILTER (WHERE p.indexed_seq IS DISTINCT FROM c.last_seq) FROM chat_channels c
LEFT JOIN chat_search_progress p ON p.channel_id = c.id
"""
ENTRIES = "SELECT channel_id, seq, terms::text FROM chat_search ORDER BY 1, 2"


@pytest.fixture
async def shelf(database: Database) -> AsyncIterator[Library]:
    async with library(database) as opened:
        for booking in ("b1", "b2", "b3"):
            await opened.booking(booking)
        yield opened


@asynccontextmanager
async def indexing_on(database: Database) -> AsyncIterator[Indexer]:
    worker = Indexer(database)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def until(holds: Callable[[], Any], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.02)


async def up_to_date(database: Database) -> bool:
    return bool(await database.pool.fetchval(PROGRESS) == 0)


async def as_rebuilt(database: Database) -> bool:
    """Whether the index is what making it anew would make it."""
    before = await database.pool.fetch(ENTRIES)
    await rebuild(database)
    return bool(before == await database.pool.fetch(ENTRIES))


async def test_what_happens_is_indexed_and_what_was_missed_is_found_at_the_start(shelf: Library) -> None:
    first, second = await shelf.say("b1", "gate one", "gate two")
    await shelf.say("b2", "gate three")
    async with indexing_on(shelf.database) as worker:
        await until(partial(up_to_date, shelf.database))
        await shelf.delete(first)
        await shelf.revise(second, "door two")
        worker.wake(shelf.channels["b1"])
        await until(partial(up_to_date, shelf.database))
    assert await shelf.rows() == 2
    assert await as_rebuilt(shelf.database)


async def test_two_instances_index_everything_once_and_lose_nothing(dsn: str, shelf: Library) -> None:
    other = await Database.connect(dsn, size=2)
    try:
        async with indexing_on(shelf.database) as one, indexing_on(other) as two:
            for turn in range(30):
                for booking in ("b1", "b2", "b3"):
                    (message,) = await shelf.say(booking, f"gate {turn}")
                    (one, two)[turn % 2].wake(shelf.channels[booking])
                    if turn % 5 == 0:
                        await shelf.revise(message, f"door {turn}")
                        (two, one)[turn % 2].wake(shelf.channels[booking])
            await until(partial(up_to_date, shelf.database))
    finally:
        await other.close()
    assert await shelf.rows() == 90
    assert await as_rebuilt(shelf.database)


async def test_a_channel_that_another_instance_holds_waits_and_the_others_do_not(shelf: Library) -> None:
    await shelf.say("b1", "gate one")
    await shelf.say("b2", "gate two")
    held, free = shelf.channels["b1"], shelf.channels["b2"]
    await shelf.database.pool.execute(store.OPEN, [held, free])
    async with shelf.database.transaction() as tx:
        assert await store.claim(tx.connection, [held])
        assert (await index(shelf.database, [held, free])).left == [held]
        assert await shelf.rows() == 1
    assert (await index(shelf.database, [held, free])).left == []
    assert await shelf.rows() == 2


async def test_a_long_log_is_indexed_in_pieces(shelf: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "RECORDS", 4)
    await shelf.say("b1", *(f"gate {n}" for n in range(10)))
    await shelf.say("b2", "gate")
    channels = [shelf.channels["b1"], shelf.channels["b2"]]
    held = []
    while channels:
        channels = (await index(shelf.database, channels)).left
        held.append(await shelf.rows())
    assert held == [4, 8, 11]
    assert await up_to_date(shelf.database)


async def test_what_fails_half_way_leaves_no_hole(shelf: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    await shelf.say("b1", "gate one")
    await shelf.index()
    await shelf.say("b1", "gate two")
    monkeypatch.setattr(store, "ADVANCE", store.ADVANCE + " AND 1 / 0 = 1")
    with pytest.raises(Exception, match="division by zero"):
        await index(shelf.database, [shelf.channels["b1"]])
    assert await shelf.rows() == 1
    monkeypatch.undo()
    assert await shelf.found("gate") == ["gate two", "gate one"]
    async with indexing_on(shelf.database):
        await until(partial(up_to_date, shelf.database))
    assert await as_rebuilt(shelf.database)


async def test_the_check_notices_progress_without_entries(shelf: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: how far it has come is kept first, and the entries are lost."""
    await shelf.say("b1", "gate one")

    async def lose(connection: Any, _: Any, done: Any) -> None:
        await write(connection, [], done)

    write = store.write
    monkeypatch.setattr(store, "write", lose)
    await shelf.index()
    assert await up_to_date(shelf.database)
    assert await shelf.found("gate") == []
    monkeypatch.undo()
    assert not await as_rebuilt(shelf.database)


async def test_a_failure_is_tried_again(shelf: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer_module, "RETRY_S", 0.01)
    failures = [ValueError("strange"), ValueError("again")]

    async def fail_first(*what: Any) -> Any:
        if failures:
            raise failures.pop()
        return await index(*what)

    monkeypatch.setattr(indexer_module, "index", fail_first)
    await shelf.say("b1", "gate")
    async with indexing_on(shelf.database):
        await until(partial(up_to_date, shelf.database))
    assert failures == []


async def test_searching_wakes_the_indexer_for_what_lags(shelf: Library) -> None:
    async with indexing_on(shelf.database) as worker:
        await asyncio.sleep(0)
        shelf.searching._indexer = worker
        await shelf.say("b1", "gate")
        assert await shelf.found("gate") == ["gate"]
        await until(partial(up_to_date, shelf.database))


async def test_the_index_is_made_anew_beside_one_who_writes(shelf: Library) -> None:
    async def talk() -> None:
        for n in range(40):
            await shelf.say("b1", f"gate {n}")
            worker.wake(shelf.channels["b1"])

    await shelf.say("b2", "gate")
    async with indexing_on(shelf.database) as worker:
        talking = asyncio.create_task(talk())
        while not talking.done():
            await rebuild(shelf.database)
        await talking
        await until(partial(up_to_date, shelf.database))
    assert await shelf.rows() == 41
    assert await as_rebuilt(shelf.database)


def say_over_http(person: httpx.Client, booking: str, *texts: str) -> None:
    for text in texts:
        body = {"client_id": text, "content": text}
        person.post(f"/api/contexts/booking/{booking}/messages", json=body).raise_for_status()


async def test_a_killed_server_leaves_no_hole(dsn: str, tmp_path: Path, database: Database) -> None:
    """Killed while more is on its way: all is found at once after the next start, and indexed soon."""
    texts = [f"gate {n}" for n in range(60)]
    with running_server(dsn, tmp_path) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            token = host.user("ana")
            host.context("b1", {"ana": "worker"})
            with host.person(token) as ana:
                await asyncio.to_thread(say_over_http, ana, "b1", *texts[:30])
                await until(partial(has_entries, database))
                await asyncio.to_thread(say_over_http, ana, "b1", *texts[30:])
            server.kill()
            server.start()
            assert found_over_http(host, token) == texts[::-1]
            await until(partial(up_to_date, database))
            assert found_over_http(host, token) == texts[::-1]
            assert await asyncio.to_thread(server.cli, "search", "rebuild") == "1 channels indexed."
    assert await as_rebuilt(database)


def found_over_http(host: Host, token: str) -> list[str]:
    with host.person(token) as ana:
        page = ana.get("/api/search", params={"q": "gate", "limit": 100}).raise_for_status().json()
    return [item["message"]["content"] for item in page["items"]]


async def has_entries(database: Database) -> bool:
    return bool(await database.pool.fetchval("SELECT count(*) FROM chat_search"))
