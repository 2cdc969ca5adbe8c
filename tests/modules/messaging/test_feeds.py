"""Feeds: whatever order records come in, listeners get them without gap, in order and once."""

import asyncio
from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import UnavailableError
from modules.messaging.gateway import feeds as module
from modules.messaging.gateway.feeds import Deliver, Feeds

CHANNEL = uuid4()


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)


class Channel:
    """A log, what was delivered of it, and a feed between the two."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.told: list[str] = []
        self.reads = 0
        self.away = False
        self.feeds = Feeds(self._read)

    def follow(self, position: int) -> bool:
        """Listen, and know the log up to `position`."""
        self.feeds.open(CHANNEL)
        return self.feeds.start(CHANNEL, position)

    def say(self, what: str) -> Deliver:
        return partial(self.told.append, what)

    def offer(self, *seqs: int) -> None:
        for seq in seqs:
            self.feeds.offer(CHANNEL, seq, self.say(f"{seq}"))

    def ack(self, seq: int) -> None:
        self.feeds.after(CHANNEL, seq, self.say(f"ack {seq}"))

    async def told_all(self, *expected: str) -> None:
        async with asyncio.timeout(5):
            while len(self.told) < len(expected):
                await asyncio.sleep(0.002)
        assert self.told == list(expected)

    async def _read(self, _channel: UUID, after: int, limit: int) -> list[tuple[int, Deliver]]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise UnavailableError
        last = min(self.head, after + limit)
        return [(seq, self.say(f"log {seq}")) for seq in range(after + 1, last + 1)]


async def test_what_comes_in_order_passes_at_once() -> None:
    channel = Channel(head=3)
    channel.follow(0)
    channel.offer(1, 2, 3)
    assert channel.told == ["1", "2", "3"]
    assert channel.reads == 0


async def test_what_comes_a_moment_too_early_waits_and_nothing_is_read() -> None:
    channel = Channel(head=3)
    channel.follow(0)
    channel.offer(2, 3)
    assert channel.told == []
    channel.offer(1)
    await channel.told_all("1", "2", "3")
    await asyncio.sleep(module.GAP_S * 2)
    assert channel.told == ["1", "2", "3"]


async def test_what_does_not_come_is_read_from_the_log() -> None:
    channel = Channel(head=7)
    channel.follow(0)
    channel.offer(7)
    await channel.told_all(*(f"log {seq}" for seq in range(1, 7)), "7")


async def test_what_was_delivered_is_not_delivered_again() -> None:
    channel = Channel(head=4)
    channel.follow(2)
    channel.offer(1, 2, 3, 3, 2)
    assert channel.told == ["3"]


async def test_an_ack_follows_its_record_and_is_never_left_out() -> None:
    channel = Channel(head=3)
    channel.follow(0)
    channel.offer(3)
    channel.ack(3)
    channel.ack(2)
    assert channel.told == []
    channel.offer(1)
    channel.offer(2)
    await channel.told_all("1", "2", "ack 2", "3", "ack 3")
    channel.ack(1)
    assert channel.told[-1] == "ack 1"


async def test_an_ack_given_in_the_turn_of_its_record_comes_before_what_waited_for_that() -> None:
    channel = Channel(head=2)
    channel.follow(0)
    channel.offer(2)
    channel.offer(1)
    channel.ack(1)
    await channel.told_all("1", "ack 1", "2")


async def test_an_ack_outlives_its_feed() -> None:
    channel = Channel(head=3)
    channel.follow(0)
    channel.ack(2)
    channel.feeds.stop(CHANNEL)
    await asyncio.sleep(0)
    assert channel.told == ["ack 2"]
    channel.ack(3)
    channel.offer(3)
    assert channel.told == ["ack 2", "ack 3"]


async def test_with_the_log_away_a_gap_stays_open_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AWAY_S", 0.02)
    channel = Channel(head=2)
    channel.away = True
    channel.follow(0)
    channel.offer(2)
    await asyncio.sleep(0.1)
    assert channel.told == []
    channel.away = False
    await channel.told_all("log 1", "2")


async def test_what_comes_while_the_log_is_read_is_not_read_but_let_through() -> None:
    channel = Channel(head=2)
    channel.follow(0)
    channel.feeds.reach(CHANNEL, 2)
    channel.offer(3, 4)
    await channel.told_all("log 1", "log 2", "3", "4")
    await asyncio.sleep(0.01)
    channel.offer(5)
    assert channel.told[-1] == "5"
    assert channel.reads == 1


async def test_a_head_that_nobody_told_of_is_read_up_to() -> None:
    channel = Channel(head=5)
    channel.follow(1)
    channel.feeds.reach_all({CHANNEL: 5, uuid4(): 3})
    await channel.told_all(*(f"log {seq}" for seq in range(2, 6)))
    channel.feeds.reach(CHANNEL, 5)
    await asyncio.sleep(0.02)
    assert len(channel.told) == 4


async def test_a_delivery_that_fails_stops_no_other() -> None:
    channel = Channel(head=2)
    channel.follow(0)

    def fail() -> None:
        raise RuntimeError

    channel.feeds.offer(CHANNEL, 1, fail)
    channel.offer(2)
    assert channel.told == ["2"]


async def test_who_knows_less_than_where_the_feed_began_has_to_read_again() -> None:
    channel = Channel(head=9)
    assert channel.follow(5)
    assert channel.follow(7)
    assert not channel.follow(4)


async def test_what_comes_while_nobody_knows_yet_where_the_log_ends_is_gathered() -> None:
    channel = Channel(head=6)
    channel.feeds.open(CHANNEL)
    channel.offer(4, 5)
    channel.ack(4)
    channel.ack(5)
    channel.feeds.reach(CHANNEL, 6)
    await asyncio.sleep(module.GAP_S * 2)
    assert (channel.told, channel.reads) == ([], 0)
    assert channel.feeds.start(CHANNEL, 4)
    await channel.told_all("ack 4", "5", "ack 5", "log 6")


async def test_the_record_of_an_ack_is_read_when_nobody_tells_of_it() -> None:
    """Somebody learnt of it in another way: their client_id was there already."""
    channel = Channel(head=2)
    channel.follow(1)
    channel.ack(2)
    await channel.told_all("log 2", "ack 2")


async def test_a_head_that_is_heard_of_while_the_log_is_read_is_read_too() -> None:
    channel = Channel(head=1)
    channel.follow(0)
    channel.feeds.reach(CHANNEL, 1)
    read = asyncio.Event()
    original = channel.feeds._read

    async def slowly(name: UUID, after: int, limit: int) -> list[tuple[int, Deliver]]:
        page = await original(name, after, limit)
        await read.wait()
        return page

    channel.feeds._read = slowly
    await asyncio.sleep(0.01)
    channel.head = 2
    channel.feeds.reach(CHANNEL, 2)
    read.set()
    await channel.told_all("log 1", "log 2")


async def test_a_read_that_fails_in_any_way_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AWAY_S", 0.02)
    channel = Channel(head=2)
    channel.follow(0)
    original, channel.feeds._read = channel.feeds._read, _fails
    channel.feeds.reach(CHANNEL, 2)
    await asyncio.sleep(0.05)
    channel.feeds._read = original
    await channel.told_all("log 1", "log 2")


async def _fails(_channel: UUID, _after: int, _limit: int) -> list[tuple[int, Deliver]]:
    raise RuntimeError


async def test_who_leaves_and_comes_back_in_one_page_hears_the_rest_of_it_once() -> None:
    channel = Channel(head=3)

    async def page(name: UUID, after: int, limit: int) -> list[tuple[int, Deliver]]:
        rest: list[tuple[int, Deliver]] = [(1, partial(channel.feeds.stop, name)), (2, again), (3, channel.say("3"))]
        return [(seq, deliver) for seq, deliver in rest if seq > after]

    def again() -> None:
        assert channel.follow(1)
        channel.told.append("2")

    channel.feeds._read = page
    channel.follow(0)
    channel.feeds.reach(CHANNEL, 3)
    await channel.told_all("2", "3")
    channel.offer(2, 3, 4)
    assert channel.told == ["2", "3", "4"]


async def test_when_nobody_listens_any_more_nothing_is_delivered_or_kept() -> None:
    channel = Channel(head=3)
    channel.follow(0)
    channel.offer(2)
    channel.feeds.stop(CHANNEL)
    await asyncio.sleep(0)
    assert channel.feeds.channels == []
    assert channel.feeds.start(CHANNEL, 0)
    channel.offer(1)
    await asyncio.sleep(module.GAP_S * 2)
    assert (channel.told, channel.feeds.channels) == ([], [])


steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(1, 12)),
        st.tuples(st.just("ack"), st.integers(1, 12)),
        st.tuples(st.just("reach"), st.integers(1, 12)),
        st.tuples(st.just("pause"), st.integers(0, 2)),
    ),
    max_size=40,
)


@given(steps)
def test_in_any_order_everything_comes_once_and_acks_after_their_records(taken: list[tuple[str, int]]) -> None:
    asyncio.run(_play(taken))


async def _play(taken: list[tuple[str, int]]) -> None:
    channel = Channel(head=12)
    channel.follow(0)
    acts: dict[str, Callable[[int], None]] = {
        "offer": channel.offer,
        "ack": channel.ack,
        "reach": partial(channel.feeds.reach, CHANNEL),
    }
    for act, number in taken:
        if act == "pause":
            await asyncio.sleep(number / 1000)
        else:
            acts[act](number)
    channel.feeds.reach(CHANNEL, 12)
    acks = sum(act == "ack" for act, _ in taken)
    async with asyncio.timeout(5):
        while len(channel.told) < 12 + acks:
            await asyncio.sleep(0.001)
    records = [int(told.removeprefix("log ")) for told in channel.told if not told.startswith("ack")]
    assert records == list(range(1, 13))
    for place, told in enumerate(channel.told):
        if told.startswith("ack"):
            assert any(before.endswith(told.removeprefix("ack ")) for before in channel.told[:place])
    channel.feeds.stop(CHANNEL)


async def test_what_is_to_follow_is_waited_for_at_the_end() -> None:
    channel = Channel(head=2)
    channel.feeds.open(CHANNEL)
    channel.feeds.start(CHANNEL, 0)
    await channel.feeds.settled()
    channel.offer(2)
    channel.ack(2)
    await channel.feeds.settled()
    assert channel.told[-1] == "ack 2"
