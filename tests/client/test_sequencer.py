"""Whatever arrives however often and in whatever order, each record is let through once and in its place."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley_client import ChannelHead, Limits, ParticipantJoined, Ready, Record, Reset, UnknownRecord
from parley_client.frames import Resumed, ResumedHead
from parley_client.order import Order

CHANNEL = "c"
ARRIVALS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=60)
Take = Callable[..., list[Record]]


def through(arrivals: list[tuple[int, bool]], take: Take) -> list[int]:
    """Return the seqs that are let through when records arrive like this and missing ones are asked for."""
    order = joined(0)
    taken: list[int] = []
    for seq, own in arrivals:
        taken += [record.seq for record in take(order, record_at(seq), own=own)]
        while CHANNEL in order.behind:
            asked = order.asking(10)
            head = max(seq for seq, _ in arrivals)
            for missed in range(asked[CHANNEL] + 1, head + 1):
                taken += [record.seq for record in take(order, record_at(missed), own=False)]
            order.resumed(asked, resumed(head))
    return taken


@given(ARRIVALS)
@settings(max_examples=300)
def test_each_once_and_in_order(arrivals: list[tuple[int, bool]]) -> None:
    taken = through(arrivals, rightly)
    assert taken == list(range(1, len(taken) + 1))
    if any(not own for _, own in arrivals):
        others = max(seq for seq, own in arrivals if not own)
        assert len(taken) >= others, "only own records may wait for what nobody has announced"


@pytest.mark.parametrize("variant", ["whatever comes", "forward"])
def test_the_same_check_finds(variant: str) -> None:
    """The broken variants: whatever comes is taken, or all that is newer than the last."""
    arrivals = [(1, False), (2, False), (2, False), (5, False), (4, False)]
    taken = through(arrivals, {"whatever comes": anything, "forward": forward}[variant])
    assert taken != list(range(1, len(taken) + 1))


def test_own_records_wait_for_those_before_them_and_then_for_an_answer() -> None:
    order = joined(0)
    assert order.take(record_at(2), own=True) == order.take(record_at(3), own=True) == []
    assert (order.behind, order.is_waiting) == (set(), True)
    assert [record.seq for record in order.take(record_at(1))] == [1, 2, 3]
    assert not order.is_waiting
    order.take(record_at(5), own=True)
    order.stop_waiting()
    assert order.asking(10) == {CHANNEL: 3}


def test_where_channels_start() -> None:
    order = joined(7)
    assert order.take(record_at(7)) == []
    assert [record.seq for record in order.take(record_at(8))] == [8]
    assert order.take(record_at(2, "made meanwhile")) == []
    assert order.asking(10) == {"made meanwhile": 0}
    mine = ParticipantJoined(channel_id="added to", seq=30, user_id="me")
    assert order.take(mine) == [mine]
    order.join(ready({CHANNEL: 8, "made while away": 3}))
    assert order.asking(10) == {"made while away": 0}


def test_channels_that_ready_has_no_room_for() -> None:
    order = joined(7, more=True)
    assert [record.seq for record in order.take(record_at(90, "quiet"))] == [90]
    order.join(ready({CHANNEL: 7}, more=True))
    assert order.asking(10) == {"quiet": 90}
    order.resumed({"quiet": 90}, resumed(0, "another"))
    assert order.asking(10) == {}, "it isn't the user's any more"


def test_from_the_beginning() -> None:
    order = Order(None, None, from_beginning=True)
    order.join(ready({CHANNEL: 7}))
    assert order.asking(10) == {CHANNEL: 0}


def test_what_nobody_asked_for_is_asked_for_again() -> None:
    order = joined(0)
    records = [record for seq in range(1, 6) for record in order.take(record_at(seq))]
    for record in records[:2]:
        order.hand_over(record)
    order.rewind(records[2:])
    assert order.yielded == order.asking(10) == {CHANNEL: 2}


def test_another_epoch_begins_anew_when_the_application_knows() -> None:
    order = joined(7)
    reset = order.join(ready({CHANNEL: 3}, epoch="f"))
    assert reset == Reset(epoch="f", positions={CHANNEL: 3})
    assert (order.yielded_epoch, order.yielded) == ("e", {CHANNEL: 7})
    order.hand_over(reset)
    assert (order.yielded_epoch, order.yielded) == ("f", {CHANNEL: 3})
    assert [record.seq for record in order.take(record_at(4))] == [4]


def rightly(order: Order, record: Record, *, own: bool) -> list[Record]:
    return order.take(record, own=own)


def anything(order: Order, record: Record, *, own: bool) -> list[Record]:
    order._begin(record)
    order._taken[record.channel_id] = record.seq
    return [record]


def forward(order: Order, record: Record, *, own: bool) -> list[Record]:
    order._begin(record)
    return anything(order, record, own=own) if record.seq > order._taken[record.channel_id] else []


def record_at(seq: int, channel_id: str = CHANNEL) -> Record:
    return UnknownRecord(channel_id=channel_id, seq=seq, kind="something")


def resumed(last_seq: int, channel_id: str = CHANNEL) -> Resumed:
    return Resumed(ref="r", channels=[ResumedHead(channel_id=channel_id, last_seq=last_seq)])


def joined(last_seq: int, **fields: Any) -> Order:
    order = Order(None, None, from_beginning=False)
    order.join(ready({CHANNEL: last_seq}, **fields))
    return order


def ready(heads: dict[str, int], *, epoch: str = "e", more: bool = False) -> Ready:
    return Ready(
        connection_id="1",
        user_id="me",
        epoch=epoch,
        server_time=datetime.now(UTC),
        limits=Limits(),
        channels=[ChannelHead(channel_id=channel_id, last_seq=seq) for channel_id, seq in heads.items()],
        more=more,
    )
