"""Receipts of large channels go out in pieces; what may have been lost is found in the database."""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec
import pytest

from kernel.database import Database
from kernel.ids import new_id
from modules.messaging.gateway import receipts
from modules.messaging.gateway.broadcast import channel_topic
from modules.messaging.gateway.receipts import REST_S, Receipts
from modules.messaging.gateway.server_frames import Receipt
from modules.messaging.schemas.marks import Marks
from modules.messaging.store import marks
from realtime.connection import Connection
from realtime.frame import Frame
from realtime.hub import Hub
from tests.support.pens import make_context, pen

CHANNEL = new_id()
PEOPLE = [f"u{n:02}" for n in range(20)]
A_TURN = 40
"""Deliveries that one rest pays for here: two receipts to twenty sockets."""


class Screen:
    """A socket in memory: which receipts came, and when."""

    buffered_bytes = 0

    def __init__(self) -> None:
        self.told: list[tuple[float, Receipt]] = []

    def write(self, frames: Sequence[Frame]) -> None:
        """Note the receipts."""
        for frame in frames:
            self.told.append((time.monotonic(), msgspec.json.decode(frame.payload, type=Receipt)))

    def close(self, code: int, reason: str) -> None:
        """Nobody does."""
        raise AssertionError(code, reason)

    async def drain(self) -> None:
        """Nothing is kept."""

    async def finish(self) -> None:
        """Nothing to do."""


class Room:
    """A channel in which everybody has a screen."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.receipts = Receipts(self.hub)
        self.screens: dict[str, Screen] = {}
        for user in PEOPLE:
            screen = self.screens[user] = Screen()
            connection = Connection(user, screen, flusher=self.hub.flusher, queue_limit=1 << 20)
            self.hub.register(connection)
            self.hub.subscribe(connection, channel_topic(CHANNEL))

    def reads(self, user: str) -> list[int]:
        """Return how far everybody was told that somebody has read; everybody was told the same."""
        (others, *more) = [
            [one.last_read_seq for _, one in screen.told if one.user_id == user]
            for name, screen in self.screens.items()
            if name != user
        ]
        assert all(other == others for other in more)
        return others


def read(user: str, seq: int) -> Marks:
    return Marks(CHANNEL, user, seq, seq)


def in_one_turn(told: Sequence[tuple[float, Receipt]]) -> int:
    """Return how many receipts came at most within half a rest."""
    times = [at for at, _ in told]
    return max(sum(at <= other < at + REST_S / 2 for other in times) for at in times)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(receipts, "DELIVERIES_PER_S", A_TURN / REST_S)
    return Room()


async def test_many_receipts_of_a_large_channel_go_out_in_pieces_and_the_last_state_of_everybody(room: Room) -> None:
    room.receipts.tell([read(user, 1) for user in PEOPLE])
    await asyncio.sleep(REST_S * 1.5)
    room.receipts.tell([read(user, 2) for user in PEOPLE])
    await asyncio.sleep(REST_S * (len(PEOPLE) + 5))
    assert {room.reads(user)[-1] for user in PEOPLE} == {2}
    assert sum(len(room.reads(user)) for user in PEOPLE) <= len(PEOPLE) + 4, "who waited is told once"
    watcher = room.screens[PEOPLE[0]]
    others = [(at, one) for at, one in watcher.told if one.user_id != PEOPLE[0]]
    assert in_one_turn(others) <= A_TURN / len(PEOPLE) * 2
    own = [one.last_read_seq for _, one in room.screens[PEOPLE[-1]].told if one.user_id == PEOPLE[-1]]
    assert own == [1, 2, 2], "one's own devices don't wait"


async def test_without_pieces_all_would_go_at_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant."""
    monkeypatch.setattr(receipts, "islice", lambda items, *bounds: iter(list(items) if len(bounds) == 1 else ()))
    room.receipts.tell([read(user, 1) for user in PEOPLE])
    await asyncio.sleep(REST_S)
    assert in_one_turn(room.screens[PEOPLE[0]].told) == len(PEOPLE)


async def test_what_is_told_again_takes_nothing_back_that_still_waits(room: Room) -> None:
    room.receipts.tell([read(user, 1) for user in PEOPLE])
    room.receipts.tell([read(PEOPLE[-1], 5)])
    room.receipts.tell_here([read(PEOPLE[-1], 3)])
    room.receipts.stop()
    await asyncio.sleep(0.01)
    assert room.reads(PEOPLE[-1]) == [5]


async def test_marks_that_moved_since_a_place_are_found_and_no_others(dsn: str, database: Database) -> None:
    """Also those of a transaction that had begun before it, and what was vacuumed meanwhile."""
    channel = await make_channel(database)
    other = await asyncpg.connect(dsn)
    try:
        async with database.connection() as connection:
            await marks.move(connection, [(channel, "u00", 1, 1)])
            open_before = other.transaction()
            await open_before.start()
            await marks.move(other, [(channel, "u01", 1, 0)])
            place = await marks.snapshot(connection)
            assert await found(connection, channel, place) == set(), "none that can be seen yet"
            await open_before.commit()
            await marks.move(connection, [(channel, "u02", 2, 2), (channel, "u03", 0, 0)])
            for _ in range(2):
                assert await found(connection, channel, place) == {("u01", 1, 0), ("u02", 2, 2)}
                await other.execute("VACUUM FREEZE chat_participants")
            later = await marks.snapshot(connection)
            assert later > place
            assert await found(connection, channel, later) == set()
    finally:
        await other.close()


async def found(connection: "asyncpg.Connection[asyncpg.Record]", channel: UUID, place: int) -> set[object]:
    """Return the marks that have moved since a place."""
    moved = await marks.moved_since(connection, [channel], place)
    return {(one.user_id, one.last_delivered_seq, one.last_read_seq) for one in moved}


async def make_channel(database: Database) -> UUID:
    """Make a channel of many people with two records."""
    await make_context(database, "b1", dict.fromkeys(PEOPLE, "worker"))
    async with pen(database) as p:
        stored = [await p.stored("b1", "u00", f"c{n}") for n in range(2)]
    return stored[0].record.channel_id
