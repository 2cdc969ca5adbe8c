"""Marks only move forward and never past the head; who cares is told of it once, and not too often."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from bus import Bus
from kernel.clock import now
from kernel.database import Database, Transaction
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.events import ChannelRead
from modules.messaging.gateway.receipts import REST_S
from modules.messaging.schemas.marks import Marks
from modules.messaging.service.marking import Marking
from modules.messaging.store import members
from tests.support import broken
from tests.support.chat import Chat, Frame, chat
from tests.support.pens import make_context, pen
from tests.support.redis_server import RedisServer
from tests.support.servers import Host, Server, person_at, running_server
from tests.support.statements import statements

HEAD = 5
PEOPLE = [f"u{n:02}" for n in range(40)]


class Booking:
    """A booking of ana, ben and cem, in which ana has written."""

    def __init__(self, host: Host) -> None:
        self.url = host.server.ws_url
        self.name = uuid4().hex[:8]
        self.ids = {first: f"{first}-{self.name}" for first in ("ana", "ben", "cem", "eve")}
        self.tokens = {first: host.user(user_id) for first, user_id in self.ids.items()}
        self.people = {first: person_at(host.server, token) for first, token in self.tokens.items()}
        self.host = host
        self.put("ana", "ben", "cem")
        self.channel = [self.say(n)["channel_id"] for n in range(HEAD)][-1]

    def put(self, *names: str) -> None:
        """Make these the participants."""
        self.host.context(self.name, {self.ids[name]: "worker" for name in names})

    def say(self, n: int) -> Any:
        """Have ana write."""
        body = {"client_id": f"c{n}", "content": f"message {n}"}
        return self.people["ana"].post(f"/api/contexts/booking/{self.name}/messages", json=body).json()

    def mark(self, who: str, kind: str, seq: int) -> tuple[int, int]:
        """Move somebody's marks; returns where they are."""
        marks = self.try_to_mark(who, kind, seq).raise_for_status().json()
        assert (marks["channel_id"], marks["user_id"]) == (self.channel, self.ids[who])
        return marks["last_delivered_seq"], marks["last_read_seq"]

    def try_to_mark(self, who: str, kind: str, seq: int, channel: str = "") -> httpx.Response:
        return self.people[who].put(f"/api/channels/{channel or self.channel}/{kind}", json={"seq": seq})

    def statuses(self) -> list[str]:
        """Return how far ana's messages have come."""
        page = self.people["ana"].get(f"/api/channels/{self.channel}/messages").raise_for_status().json()
        return [message["status"] for message in page["items"]]


@pytest.fixture
def booking(host: Host) -> Iterator[Booking]:
    made = Booking(host)
    yield made
    for client in made.people.values():
        client.close()


def test_marks_move_forward_only_never_past_the_head_and_reading_is_delivery(booking: Booking) -> None:
    assert booking.mark("ben", "delivered", 2) == (2, 0)
    assert booking.mark("ben", "read", 1) == (2, 1)
    assert booking.mark("ben", "read", 3) == (3, 3)
    assert booking.mark("ben", "delivered", 1) == (3, 3)
    assert booking.mark("ben", "read", 0) == (3, 3)
    assert booking.mark("ben", "read", 2**63 - 1) == (HEAD, HEAD)
    booking.say(HEAD)
    assert booking.mark("ben", "delivered", 100) == (HEAD + 1, HEAD)


def test_who_does_not_take_part_hears_the_same_as_of_a_channel_that_there_is_not(booking: Booking) -> None:
    for kind in ("read", "delivered"):
        foreign = booking.try_to_mark("eve", kind, 1)
        unknown = booking.try_to_mark("eve", kind, 1, str(uuid4()))
        assert (foreign.status_code, unknown.status_code) == (404, 404)
        assert foreign.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}


def test_the_status_of_a_message_follows_from_everybody_elses_marks(booking: Booking) -> None:
    assert booking.statuses() == ["sent"] * 5
    booking.mark("ben", "read", 4)
    assert booking.statuses() == ["sent"] * 5, "it hasn't arrived at cem"
    booking.mark("cem", "delivered", 3)
    assert booking.statuses() == ["delivered"] * 3 + ["sent"] * 2
    booking.mark("cem", "read", 2)
    assert booking.statuses() == ["read"] * 2 + ["delivered", "sent", "sent"]
    booking.put("ana", "ben")
    assert booking.statuses() == ["read"] * 4 + ["sent"], "who has left doesn't count"
    booking.put("ana")
    assert booking.statuses() == ["sent"] * 5, "nobody is left to read it"


def test_who_joins_later_takes_no_status_back(booking: Booking) -> None:
    for who in ("ben", "cem"):
        booking.mark(who, "read", HEAD)
    booking.put("ana", "ben", "cem", "eve")
    assert booking.statuses() == ["read"] * HEAD
    booking.say(HEAD)
    for who in ("ben", "cem"):
        booking.mark(who, "read", HEAD + 2)
    assert booking.statuses() == ["read"] * HEAD + ["sent"], "this one is for eve, too"


def test_a_revised_message_says_how_far_it_has_come(booking: Booking) -> None:
    first = booking.people["ana"].get(f"/api/channels/{booking.channel}/messages").json()["items"][0]
    for who in ("ben", "cem"):
        booking.mark(who, "read", 1)
    body = {"client_id": "r", "content": "rather this"}
    revised = booking.people["ana"].patch(f"/api/messages/{first['id']}", json=body).json()
    assert revised["status"] == "read"
    reacted = booking.people["ben"].put(f"/api/messages/{first['id']}/reactions/👍").json()
    assert "status" not in reacted, "it isn't ben's message"


async def test_every_answer_about_ones_own_message_says_how_far_it_has_come(booking: Booking) -> None:
    first, second = booking.people["ana"].get(f"/api/channels/{booking.channel}/messages").json()["items"][:2]
    for who, kind, seq in (("ben", "read", 2), ("cem", "read", 1), ("cem", "delivered", 2)):
        booking.mark(who, kind, seq)
    assert [booking.say(n)["status"] for n in range(3)] == ["read", "delivered", "sent"], "sent again over HTTP"
    async with at(booking, "ana") as ana, at(booking, "ben") as ben:
        again = [await ana.message(f"message {n}", client_id=f"c{n}", channel_id=booking.channel) for n in range(3)]
        assert [ack["message"]["status"] for ack in again] == ["read", "delivered", "sent"], "sent again over a socket"
        asked: list[tuple[str, dict[str, Any]]] = [
            ("message.revise", {"message_id": first["id"], "client_id": "r1", "content": "rather this"}),
            ("message.revise", {"message_id": first["id"], "client_id": "r1", "content": "rather this"}),
            ("reaction.add", {"message_id": first["id"], "emoji": "👍"}),
            ("reaction.add", {"message_id": first["id"], "emoji": "👍"}),
            ("message.delete", {"message_id": second["id"]}),
        ]
        told = [(await reply(ana, kind, **fields))["message"]["status"] for kind, fields in asked]
        assert told == ["read"] * 4 + ["delivered"]
        reacted = await reply(ben, "reaction.add", message_id=first["id"], emoji="🎉")
        assert "status" not in reacted["message"], "it isn't ben's message"


async def test_everybody_and_ones_other_devices_hear_of_what_moved_and_of_nothing_else(booking: Booking) -> None:
    async with AsyncExitStack() as stack:
        ana, one, two = [await stack.enter_async_context(at(booking, who)) for who in ("ana", "ben", "ben")]
        await mark(one, booking, "read", 3)
        expected = receipt(booking, "ben", 3, 3)
        assert [await socket.receive("receipt", "error") for socket in (ana, one, two)] == [expected] * 3
        for kind, seq in (("read", 3), ("read", 1), ("delivered", 2)):
            await mark(one, booking, kind, seq)
        await asyncio.to_thread(booking.mark, "ben", "delivered", 3)
        await mark(one, booking, "delivered", 4)
        expected = receipt(booking, "ben", 4, 3)
        assert [await socket.receive("receipt", "error") for socket in (ana, one, two)] == [expected] * 3


async def test_a_frame_about_a_channel_of_others_is_answered_as_one_about_none(booking: Booking) -> None:
    async with at(booking, "eve") as eve:
        told = []
        for channel in (booking.channel, str(uuid4())):
            await eve.send(type="read", channel_id=channel, seq=1)
            told.append(await eve.receive("error"))
    assert told[0] == told[1]
    assert told[0]["problem"]["status"] == 404


async def test_many_marks_become_few_receipts_and_the_last_is_always_sent(booking: Booking) -> None:
    for n in range(HEAD, 100):
        await asyncio.to_thread(booking.say, n)
    async with at(booking, "ana") as ana, at(booking, "ben") as ben:
        began = time.monotonic()
        for seq in range(1, 101):
            await mark(ben, booking, "read", seq)
        while (last := await ana.receive("receipt"))["last_read_seq"] < 100:
            pass
        took = time.monotonic() - began
    told = [frame["last_read_seq"] for frame in ana.seen if frame["type"] == "receipt"]
    assert last == receipt(booking, "ben", 100, 100)
    assert told == sorted(set(told))
    assert len(told) <= took / REST_S + 2


@pytest.mark.long
async def test_where_receipts_are_dear_they_come_late_but_not_to_ones_own_devices(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, variant="dear_receipts") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            booking = Booking(host)
        async with at(booking, "ana") as ana, at(booking, "ben") as one, at(booking, "ben") as two:
            for seq in range(1, HEAD + 1):
                await mark(one, booking, "read", seq)
                assert await two.receive("receipt") == receipt(booking, "ben", seq, seq)
            early = await received(ana)
            late = await ana.receive("receipt", patience_s=30)
    assert early == [receipt(booking, "ben", 1, 1)]
    assert late == receipt(booking, "ben", HEAD, HEAD)


async def test_receipts_reach_other_instances(dsn: str, tmp_path: Path, redis_server: RedisServer) -> None:
    settings = {"REDIS_URL": redis_server.url}
    with running_server(dsn, tmp_path / "a", **settings) as a, running_server(dsn, tmp_path / "b", **settings) as b:
        host = Host(a, a.cli("keys", "create", "tests"))
        with host.http:
            booking = Booking(host)
        async with at(booking, "ana") as ana, at(booking, "ben", b) as ben:
            await mark(ben, booking, "read", 3)
            assert await ana.receive("receipt") == receipt(booking, "ben", 3, 3)


async def test_marks_are_right_however_they_race(dsn: str, database: Database) -> None:
    assert await race(dsn, database) == []


@pytest.mark.parametrize("variant", ["marks_move_back", "marks_pass_the_head"])
async def test_the_same_race_finds_marks_that_are_not(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    """The broken variants: what is asked counts as it is, whatever was before, or wherever the log ends."""
    getattr(broken, variant)(monkeypatch.setattr)
    assert await race(dsn, database) != []


async def test_what_waits_together_is_committed_together(dsn: str, database: Database) -> None:
    channel = await make_channel(database)
    told: list[Marks] = []
    async with statements(dsn) as (counted, noted):
        marking = Marking(counted, Bus(), told.extend)
        asked = [(user, seq) for seq in range(1, HEAD + 1) for user in PEOPLE] * 5
        reached = await asyncio.gather(*(marking.mark(user, channel, seq, read=True) for user, seq in asked))
        await marking.stop()
    assert noted.count("COMMIT;") <= 2
    assert {marks.last_read_seq for marks in reached} == {HEAD}
    assert sorted(marks.user_id for marks in told) == PEOPLE


async def test_whoever_goes_away_takes_nobodys_answer_along(database: Database) -> None:
    channel = await make_channel(database)
    marking = Marking(database, Bus(), lambda _: None)
    waiting = [asyncio.create_task(marking.mark("u00", channel, seq, read=True)) for seq in (1, 2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert (await waiting[1]).last_read_seq == 2
    with pytest.raises(ChannelNotFoundError):
        await marking.mark("stranger", channel, 1, read=True)


async def race(dsn: str, database: Database) -> list[str]:
    """Mark at random from two instances at once while memberships change; returns what is wrong afterwards."""
    channel = await make_channel(database)
    other = await Database.connect(dsn, size=4)
    told: list[Marks] = []
    bus = Bus()
    bus.consume("tests", ChannelRead, never)
    try:
        instances = [Marking(each, bus, told.extend) for each in (database, other)]
        changing = asyncio.create_task(change_roles(other, channel))
        faults = [fault for n in (1, 2, 3) for fault in await mark_at_random(instances, channel, Random(n))]
        changing.cancel()
        (ended,) = await asyncio.gather(changing, return_exceptions=True)
        faults += [] if isinstance(ended, asyncio.CancelledError) else [f"memberships could not change: {ended!r}"]
    finally:
        await other.close()
    events = [msgspec.json.decode(row["payload"], type=ChannelRead) for row in await staged(database)]
    final = {
        row["user_id"]: (row["last_delivered_seq"], row["last_read_seq"])
        for row in await database.pool.fetch("SELECT * FROM chat_participants WHERE channel_id = $1", channel)
    }
    faults += [f"{user} is at {marks}" for user, marks in final.items() if max(marks) > HEAD]
    return faults + list(mistold(told, events, {user: read for user, (_, read) in final.items()}))


async def mark_at_random(instances: Sequence[Marking], channel: UUID, random: Random) -> list[str]:
    """Ask for marks in no order; returns answers that fall behind what was asked."""

    async def ask(user: str, seq: int, read: bool) -> str | None:
        await asyncio.sleep(random.random() * 0.05)
        marks = await random.choice(instances).mark(user, channel, seq, read=read)
        reached = marks.last_read_seq if read else marks.last_delivered_seq
        return None if min(seq, HEAD) <= reached <= HEAD else f"{user} asked for {seq} and was told {reached}"

    asked = [(random.choice(PEOPLE), random.randint(0, HEAD + 3), random.random() < 0.5) for _ in range(600)]
    return [fault for fault in await asyncio.gather(*(ask(*what) for what in asked)) if fault]


def mistold(told: Sequence[Marks], events: Sequence[ChannelRead], final: dict[str, int]) -> Iterator[str]:
    """What was told of each person's read mark is each of its steps, once."""
    for user in PEOPLE:
        steps = [event.last_read_seq for event in events if event.user_id == user]
        if len(steps) != len(set(steps)):
            yield f"{user}'s events: {steps}"
        if max(steps, default=0) != final[user]:
            yield f"{user} has read {final[user]}, the events say {steps}"
        if max((marks.last_read_seq for marks in told if marks.user_id == user), default=0) != final[user]:
            yield f"{user}'s last receipt is another"


async def change_roles(database: Database, channel: UUID) -> None:
    """Write everybody's place again and again, in the opposite order: it must not wait for marks in a circle."""
    people = PEOPLE[::-1]
    while True:
        columns = ([channel] * 40, people, ["worker"] * 40, [1] * 40, [now()] * 40)
        async with database.connection() as connection:
            await connection.execute(members.PLACE, *columns)


async def make_channel(database: Database) -> UUID:
    """Make a channel of many people with `HEAD` records."""
    await make_context(database, "b1", dict.fromkeys(PEOPLE, "worker"))
    async with pen(database) as p:
        stored = [await p.stored("b1", "u00", f"c{n}") for n in range(HEAD)]
    return stored[0].record.channel_id


async def staged(database: Database) -> Any:
    """Return the events that were published."""
    return await database.pool.fetch("SELECT payload FROM bus_outbox")


async def never(_tx: Transaction, _events: list[ChannelRead]) -> None:
    """Nobody starts this consumer."""
    raise NotImplementedError


def at(booking: Booking, who: str, server: Server | None = None) -> Any:
    """Connect somebody."""
    return chat(server.ws_url if server else booking.url, booking.tokens[who])


async def reply(socket: Chat, kind: str, **fields: Any) -> Frame:
    """Ask for something and return what is said to it."""
    ref = uuid4().hex
    await socket.send(type=kind, ref=ref, **fields)
    while (frame := await socket.receive("ack", "error")).get("ref") != ref:
        pass
    return frame


async def mark(socket: Chat, booking: Booking, kind: str, seq: int) -> None:
    """Mark by a frame."""
    await socket.send(type=kind, channel_id=booking.channel, seq=seq)


async def received(socket: Chat) -> list[Frame]:
    """Return the receipts that have come so far."""
    await socket.send(type="ping", ref=uuid4().hex)
    await socket.receive("pong")
    return [frame for frame in socket.seen if frame["type"] == "receipt"]


def receipt(booking: Booking, who: str, delivered: int, read: int) -> Frame:
    """Return the frame that says where somebody's marks are."""
    place = {"channel_id": booking.channel, "user_id": booking.ids[who]}
    return {"type": "receipt", **place, "last_delivered_seq": delivered, "last_read_seq": read}
