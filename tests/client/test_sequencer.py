"""Whatever arrives however often and in whatever order, each record is let through once and in its place."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley_client import ChannelHead, Limits, ParticipantJoined, Ready, Record, Reset, UnknownRecord
from parley_client.frames import Resumed, ResumedHead
from parley_client.sequencer import Sequencer

CHANNEL = "c"
ARRIVALS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=60)
Take = Callable[..., list[Record]]


def through(arrivals: list[tuple[int, bool]], take: Take) -> list[int]:
    """Return the seqs that are let through when records arrive like this and missing ones are asked for."""
    sequencer = joined(0)
    taken: list[int] = []
    for seq, own in arrivals:
        taken += [record.seq for record in take(sequencer, record_at(seq), own=own)]
        while CHANNEL in sequencer.behind:
            asked = sequencer.asking(10)
            head = max(seq for seq, _ in arrivals)
            for missed in range(asked[CHANNEL] + 1, head + 1):
                taken += [record.seq for record in take(sequencer, record_at(missed), own=False)]
            sequencer.resumed(asked, resumed(head))
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
    sequencer = joined(0)
    assert sequencer.take(record_at(2), own=True) == sequencer.take(record_at(3), own=True) == []
    assert (sequencer.behind, sequencer.is_waiting) == (set(), True)
    assert [record.seq for record in sequencer.take(record_at(1))] == [1, 2, 3]
    assert not sequencer.is_waiting
    sequencer.take(record_at(5), own=True)
    sequencer.stop_waiting()
    assert sequencer.asking(10) == {CHANNEL: 3}


def test_where_channels_start() -> None:
    sequencer = joined(7)
    assert sequencer.take(record_at(7)) == []
    assert [record.seq for record in sequencer.take(record_at(8))] == [8]
    assert sequencer.take(record_at(2, "made meanwhile")) == []
    assert sequencer.asking(10) == {"made meanwhile": 0}
    mine = ParticipantJoined(channel_id="added to", seq=30, user_id="me")
    assert sequencer.take(mine) == [mine]
    sequencer.join(ready({CHANNEL: 8, "made while away": 3}))
    assert sequencer.asking(10) == {"made while away": 0}


def test_channels_that_ready_has_no_room_for() -> None:
    sequencer = joined(7, more=True)
    assert [record.seq for record in sequencer.take(record_at(90, "quiet"))] == [90]
    sequencer.join(ready({CHANNEL: 7}, more=True))
    assert sequencer.asking(10) == {"quiet": 90}
    sequencer.resumed({"quiet": 90}, resumed(0, "another"))
    assert sequencer.asking(10) == {}, "it isn't the user's any more"


def test_from_the_beginning() -> None:
    sequencer = Sequencer(None, None, from_beginning=True)
    sequencer.join(ready({CHANNEL: 7}))
    assert sequencer.asking(10) == {CHANNEL: 0}


def test_what_nobody_asked_for_is_asked_for_again() -> None:
    sequencer = joined(0)
    records = [record for seq in range(1, 6) for record in sequencer.take(record_at(seq))]
    for record in records[:2]:
        sequencer.hand_over(record)
    sequencer.rewind(records[2:])
    assert sequencer.yielded == sequencer.asking(10) == {CHANNEL: 2}


def test_another_epoch_begins_anew_when_the_application_knows() -> None:
    sequencer = joined(7)
    reset = sequencer.join(ready({CHANNEL: 3}, epoch="f"))
    assert reset == Reset(epoch="f", positions={CHANNEL: 3})
    assert (sequencer.yielded_epoch, sequencer.yielded) == ("e", {CHANNEL: 7})
    sequencer.hand_over(reset)
    assert (sequencer.yielded_epoch, sequencer.yielded) == ("f", {CHANNEL: 3})
    assert [record.seq for record in sequencer.take(record_at(4))] == [4]


def rightly(sequencer: Sequencer, record: Record, *, own: bool) -> list[Record]:
    return sequencer.take(record, own=own)


def anything(sequencer: Sequencer, record: Record, *, own: bool) -> list[Record]:
    sequencer._begin(record)
    sequencer._taken[record.channel_id] = record.seq
    return [record]


def forward(sequencer: Sequencer, record: Record, *, own: bool) -> list[Record]:
    sequencer._begin(record)
    return anything(sequencer, record, own=own) if record.seq > sequencer._taken[record.channel_id] else []


def record_at(seq: int, channel_id: str = CHANNEL) -> Record:
    return UnknownRecord(channel_id=channel_id, seq=seq, kind="something")


def resumed(last_seq: int, channel_id: str = CHANNEL) -> Resumed:
    return Resumed(ref="r", channels=[ResumedHead(channel_id=channel_id, last_seq=last_seq)])


def joined(last_seq: int, **fields: Any) -> Sequencer:
    sequencer = Sequencer(None, None, from_beginning=False)
    sequencer.join(ready({CHANNEL: last_seq}, **fields))
    return sequencer


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
