"""A search finds exactly what a look at every message would, whatever the index knows yet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kernel.database import Database
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.search import blocks, finding, indexing, store
from modules.messaging.search.query import Query, Span
from modules.messaging.search.searching import Where
from tests.modules.messaging.search.library import Library, library, naive
from tests.support.databases import execute

SCRIPTS = {
    "¿Vienes al Café?": "cafe",
    "Die Straße ist gesperrt": "STRASSE",
    "Ο Σίσυφος": "σισυφοσ",
    "Встреча у ворот": "ворот",
    "نلتقي عند البوابة": "البوابة",
    "ניפגש בשער": "בשער",
    "कल सुबह मिलते हैं": "सुबह",
    "พรุ่งนี้เจอกันที่ประตู": "เจอกัน",
    "明天早上七点请到东门来": "点请到东",
    "東京タワーで会いましょう": "タワーで",
    "내일 아침에 정문에서 만나요": "문에서",
    "gut gemacht 👩‍👩‍👧": "👩‍👩‍👧",
}


@pytest.fixture
async def shelf(database: Database) -> AsyncIterator[Library]:
    async with library(database) as opened:
        await opened.booking("b1")
        yield opened


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not yet"])
async def test_every_script_is_found(shelf: Library, *, indexed: bool) -> None:
    await shelf.say("b1", *SCRIPTS)
    if indexed:
        await shelf.index()
        assert await shelf.rows() == len(SCRIPTS)
    for text, q in SCRIPTS.items():
        assert await shelf.found(q) == [text]
        assert await shelf.found(q, "ben") == [text]


async def test_one_finds_what_one_has_just_written_revised_and_deleted(shelf: Library) -> None:
    (message,) = await shelf.say("b1", "the gate is open")
    assert await shelf.found("gate open") == ["the gate is open"]
    for _ in range(2):
        await shelf.revise(message, "the door is shut")
        assert await shelf.found("gate") == []
        assert await shelf.found("door") == ["the door is shut"]
        await shelf.index()
        await shelf.revise(message, "the gate is open")
        assert await shelf.found("gate") == ["the gate is open"]
        assert await shelf.found("door") == []
        await shelf.index()
    await shelf.delete(message)
    assert await shelf.found("gate") == []
    await shelf.index()
    assert await shelf.found("gate") == []
    assert await shelf.rows() == 0


async def test_the_check_notices_stale_entries_and_an_unread_tail(
    shelf: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken variants: the index is believed, or nothing else is read."""
    shown, hidden = await shelf.say("b1", "the gate is open", "the gate is shut")
    await shelf.index()
    await shelf.delete(hidden)
    await shelf.revise(shown, "the door is open")
    assert (await shelf.found("gate"), await shelf.found("door")) == ([], ["the door is open"])

    with monkeypatch.context() as broken:
        broken.setattr(Query, "highlights", lambda *_: [Span(0, 1)])
        assert await shelf.found("gate")
    with monkeypatch.context() as broken:
        broken.setattr(store, "concerned", nothing)
        assert not await shelf.found("door")


async def nothing(*_: Any) -> list[Any]:
    return []


async def test_only_what_one_takes_part_in_is_found(shelf: Library) -> None:
    await shelf.booking("b2", "ben", "cleo")
    await shelf.say("b1", "gate one")
    await shelf.say("b2", "gate two", who="ben")
    for _ in range(2):
        assert await shelf.found("gate", "ana") == ["gate one"]
        assert await shelf.found("gate", "ben") == ["gate two", "gate one"]
        assert await shelf.found("gate", "cleo") == ["gate two"]
        assert await shelf.found("gate", "nobody") == []
        await shelf.index()

    left = "UPDATE chat_participants SET left_seq = 1, left_at = now() WHERE user_id = 'ben' AND channel_id = $1"
    await shelf.database.pool.execute(left, shelf.channels["b1"])
    assert await shelf.found("gate", "ben") == ["gate two"]
    for channel in (shelf.channels["b1"], uuid4()):
        with pytest.raises(ChannelNotFoundError):
            await shelf.found("gate", "ben", where=Where(channel))
    assert await shelf.found("gate", "ben", where=Where(shelf.channels["b2"])) == ["gate two"]


async def test_a_channel_or_a_type_of_context_can_be_chosen(dsn: str, shelf: Library) -> None:
    for booking in ("b2", "b3"):
        await shelf.booking(booking)
        await shelf.say(booking, f"gate {booking}")
    await execute(dsn, "INSERT INTO chat_contexts (context_type, context_id) VALUES ('dispute', 'b3')")
    await execute(dsn, "UPDATE chat_channels SET context_type = 'dispute' WHERE context_id = 'b3'")
    for _ in range(2):
        assert await shelf.found("gate") == ["gate b3", "gate b2"]
        assert await shelf.found("gate", where=Where(shelf.channels["b2"])) == ["gate b2"]
        assert await shelf.found("gate", where=Where(context_type="dispute")) == ["gate b3"]
        assert await shelf.found("gate", where=Where(shelf.channels["b2"], "dispute")) == []
        await shelf.index()


@pytest.mark.parametrize("half", [False, True], ids=["indexed", "half indexed"])
async def test_pages_are_complete_and_stay_so_while_more_is_written(
    shelf: Library, monkeypatch: pytest.MonkeyPatch, *, half: bool
) -> None:
    small_blocks(monkeypatch)
    texts: list[str] = []
    for turn in range(12):
        booking = f"c{turn % 5}"
        if turn < 5:
            await shelf.booking(booking)
        texts += [f"gate {turn}.{n}" for n in range(7)]
        await shelf.say(booking, *texts[-7:])
        if turn == 8 or not half:
            await shelf.index()
    seen: list[str] = []
    cursor = None
    while True:
        page = await shelf.page("gate", limit=5, cursor=cursor)
        assert page.complete
        seen += [item.message.content for item in page.items]
        await shelf.say("c0", "gate, later")
        await shelf.index()
        if (cursor := page.next) is None:
            break
        assert len(page.items) == 5
    assert seen == texts[::-1]


async def test_what_only_looks_like_a_match_uses_up_no_page(shelf: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both pairs of neighbours of 甲乙丙 are in every text, but three in a row in few of them only."""
    small_blocks(monkeypatch)
    texts = ["乙丙甲乙" if n % 10 else f"甲乙丙 {n}" for n in range(100)]
    await shelf.say("b1", *texts)
    await shelf.index()
    expected = [text for text in reversed(texts) if "甲乙丙" in text]
    assert await shelf.found("甲乙丙", limit=3) == expected
    monkeypatch.setattr(finding, "ATTEMPTS", 1)
    page = await shelf.page("甲乙丙", limit=3)
    assert page.next, "a page may be short, but says where to go on"
    assert await shelf.found("甲乙丙", limit=3) == expected


async def test_too_long_a_tail_is_admitted(shelf: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "TAIL", 5)
    await shelf.say("b1", *(f"gate {n}" for n in range(6)))
    page = await shelf.page("gate")
    assert not page.complete
    assert [item.message.content for item in page.items] == [f"gate {n}" for n in (5, 4, 3, 2, 1)]
    await shelf.index()
    assert (await shelf.page("gate")).complete
    assert len(await shelf.found("gate")) == 6


async def test_the_number_of_statements_does_not_grow_with_what_there_is(
    dsn: str, shelf: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await statements(dsn, shelf) <= 12
    for n in range(20):
        await shelf.booking(f"c{n}")
        await shelf.say(f"c{n}", *("gate" for _ in range(30)))
    await shelf.index()
    assert await statements(dsn, shelf) <= 12
    assert await statements(dsn, shelf, "nowhere") <= 12
    small_blocks(monkeypatch)
    assert await statements(dsn, shelf, "nowhere") > 12, "the count notices a look at each channel"


async def statements(dsn: str, shelf: Library, q: str = "gate") -> int:
    """Return how many statements a search takes, its transaction's included."""
    database = await Database.connect(dsn, size=1)
    ran: list[Any] = []
    try:
        async with database.connection() as connection:
            connection.add_query_logger(ran.append)
        shelf.searching._database = database
        await shelf.page(q, limit=10)
    finally:
        shelf.searching._database = shelf.database
        await database.close()
    return len(ran)


WORDS = st.sampled_from(
    ["gate", "GATES", "Straße", "strasse", "東京", "京タ", "ワー", "カ", "👍", "👍🏽", "שער", "ё", "е", "-"]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=4).flatmap(
    lambda words: st.sampled_from(["", " "]).map(lambda between: between.join(words))
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), TEXTS),
        st.tuples(st.just("revise"), TEXTS),
        st.tuples(st.just("delete"), st.just("")),
        st.tuples(st.just("index"), st.just("")),
    ),
    max_size=12,
)


@examples(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.lists(TEXTS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_a_search_finds_what_a_look_at_every_message_does(
    postgres: Any, monkeypatch: pytest.MonkeyPatch, steps: Any, queries: list[str], dice: Any
) -> None:
    small_blocks(monkeypatch)
    with postgres.fresh() as dsn:
        asyncio.run(compare(dsn, steps, [q for q in queries if q.strip("- ")], dice))


async def compare(dsn: str, steps: Any, queries: list[str], dice: Any) -> None:
    database = await Database.connect(dsn, size=3)
    try:
        async with library(database) as shelf:
            for booking in ("b1", "b2"):
                await shelf.booking(booking)
            for step, text in steps:
                known = list(shelf.said)
                if step == "say":
                    await shelf.say(dice.choice(["b1", "b2"]), text)
                elif step == "index":
                    await shelf.index()
                elif known and step == "revise":
                    await shelf.revise(dice.choice(known), text)
                elif known:
                    await shelf.delete(dice.choice(known))
            for q in queries:
                assert sorted(await shelf.found(q, limit=2)) == sorted(naive(q, shelf.said.values())), q
    finally:
        await database.close()


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have blocks of four messages, looked through one by one."""
    for module in (blocks, indexing):
        monkeypatch.setattr(module, "BLOCK", 4)
    monkeypatch.setattr(store, "REACHES", store.REACHES.replace("2048", "4"))
    monkeypatch.setattr(finding, "FIRST_BLOCKS", 1)
    monkeypatch.setattr(finding, "GROWTH", 1)
