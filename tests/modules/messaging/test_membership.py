"""Membership: changes are records of the log and take effect on open sockets in the step that announces them."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.chat import Chat, chat
from tests.support.log import damage, read
from tests.support.servers import Host, running_server

CONNECTS = 60


class Room:
    """A dispute of ana's, in which others come and go."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.url = host.server.ws_url
        self.name = uuid4().hex[:8]
        self.people = [f"{person}-{self.name}" for person in ("ana", "ben", "cem")]
        self.ana, self.ben, self.cem = (host.user(person) for person in self.people)
        self.where = {"type": "dispute", "id": self.name}
        self.roles = {self.people[0]: "claimant"}
        self.channel = ""

    async def put(self, *, status: str = "open", **roles: str | None) -> None:
        """Give roles to people by their first names; None takes them out."""
        for person, role in roles.items():
            self.roles[f"{person}-{self.name}"] = role or ""
        present = {person: role for person, role in self.roles.items() if role}
        await asyncio.to_thread(self.host.context, self.name, present, kind="dispute", status=status)

    async def open(self) -> None:
        """Write the first message."""
        async with chat(self.url, self.ana) as socket:
            self.channel = (await socket.message("first", context=self.where))["channel_id"]


@pytest.fixture
def room(host: Host) -> Room:
    """A dispute without a channel yet."""
    return Room(host)


async def test_who_is_removed_hears_of_it_and_then_nothing(room: Room) -> None:
    assert await heard_after_removal(room) == []


async def test_the_same_check_finds_a_removal_that_leaves_the_ear(dsn: str, tmp_path: Path) -> None:
    """The broken variant: the record is written, and the socket stays subscribed."""
    with running_server(dsn, tmp_path, variant="deaf_to_removal") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            assert await heard_after_removal(Room(host)) != []


async def test_who_was_removed_finds_the_channel_as_if_there_were_none(room: Room) -> None:
    await room.put(ana="claimant", ben="respondent")
    await room.open()
    async with chat(room.url, room.ben) as at_ben:
        await room.put(ben=None)
        await at_ben.receive("participant.left")
        await at_ben.send(type="resume", ref="r", epoch=at_ben.ready["epoch"], channels=[missed(room)])
        assert (await at_ben.receive("resumed"))["channels"] == []
        for target in ({"channel_id": room.channel}, {"context": room.where}):
            assert (await at_ben.message("hello?", **target))["problem"]["status"] == 404
        await at_ben.send(type="read", channel_id=room.channel, seq=1)
        assert (await at_ben.receive("error"))["problem"]["status"] == 404
        unknown = (await at_ben.message("hello?", channel_id=str(uuid4())))["problem"]
        foreign = (await at_ben.message("hello?", channel_id=room.channel))["problem"]
        assert foreign == unknown
    async with chat(room.url, room.ben) as again:
        assert again.ready["channels"] == []
    with room.host.person(room.ben) as http:
        assert [http.get(f"/api/channels/{room.channel}/{part}").status_code for part in ("log", "messages")] == [
            404
        ] * 2


async def test_who_comes_back_hears_everything_again(room: Room) -> None:
    await room.put(ana="claimant", ben="respondent")
    await room.open()
    async with chat(room.url, room.ana) as at_ana, chat(room.url, room.ben) as at_ben:
        await room.put(ben=None)
        await at_ana.message("behind ben's back", context=room.where)
        await room.put(ben="party")
        joined = await at_ben.receive("participant.joined")
        assert await hears(at_ana, at_ben, room)
        await at_ben.send(type="resume", ref="r", epoch=at_ben.ready["epoch"], channels=[missed(room)])
        await at_ben.receive("resumed")
    assert (joined["user_id"], joined["role"]) == (room.people[1], "party")
    log = await read(room.host.server.environment["DATABASE_URL"], room.name)
    assert damage(log) == []
    assert [frame["seq"] for frame in at_ben.seen if "seq" in frame][-4:] == [2, 3, 4, 5]
    assert all(frame == log.frame(frame["seq"]) for frame in at_ben.seen if "seq" in frame)


async def test_who_joins_while_connected_hears_of_it_first(room: Room) -> None:
    async with (
        chat(room.url, room.ana) as at_ana,
        chat(room.url, room.ben) as at_ben,
        chat(room.url, room.cem) as at_cem,
    ):
        await room.put(ana="claimant", ben="respondent")
        first = await at_ana.message("first", context=room.where)
        assert (await at_ben.receive())["message"]["id"] == first["message"]["id"]
        await room.put(cem="mediator")
        assert (await at_cem.receive())["type"] == "participant.joined"
        assert await hears(at_ana, at_cem, room)
        assert await hears(at_cem, at_ana, room)


async def test_a_role_counts_from_its_record_on(room: Room) -> None:
    await room.put(ana="claimant", ben="observer")
    await room.open()
    async with chat(room.url, room.ben) as at_ben, chat(room.url, room.ana) as at_ana:
        assert (await at_ben.message("may I?", context=room.where))["problem"]["type"] == "/problems/read-only"
        await room.put(ben="party")
        changed = await at_ben.receive("participant.role_changed")
        assert (changed["user_id"], changed["role"]) == (room.people[1], "party")
        assert (await at_ben.message("now?", context=room.where))["type"] == "ack"
        await room.put(ben="observer")
        assert (await at_ben.message("still?", context=room.where))["problem"]["status"] == 403
        assert await hears(at_ana, at_ben, room)


async def test_closed_and_reopened_while_connected(room: Room) -> None:
    await room.put(ana="claimant", ben="respondent")
    await room.open()
    async with chat(room.url, room.ana) as at_ana, chat(room.url, room.ben) as at_ben:
        await room.put(status="closed")
        assert (await at_ben.receive("channel.archived"))["seq"] == 2
        assert (await at_ben.message("too late", context=room.where))["problem"]["type"] == "/problems/channel-closed"
        await room.put(status="closed")
        await room.put()
        assert (await at_ben.receive("channel.reopened"))["seq"] == 3
        assert await hears(at_ben, at_ana, room)
    assert damage(await read(room.host.server.environment["DATABASE_URL"], room.name)) == []


async def test_connects_that_race_with_coming_and_going(room: Room) -> None:
    assert await misheard(room) == []


async def test_the_same_check_finds_a_join_that_listens_too_late(dsn: str, tmp_path: Path) -> None:
    """The broken variant: the log is read first, and listened to a moment afterwards."""
    with running_server(dsn, tmp_path, variant="late_join") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            assert await misheard(Room(host)) != []


async def test_frames_come_in_the_order_of_the_log_whoever_writes(room: Room) -> None:
    """Members change and messages arrive through different doors of one server."""
    await room.put(ana="claimant", ben="respondent", cem="party")
    await room.open()

    async def toggle() -> None:
        for n in range(100):
            await room.put(cem="mediator" if n % 2 else "party")

    async with chat(room.url, room.ana) as at_ana, chat(room.url, room.ben) as at_ben:
        changing = asyncio.create_task(toggle())
        while not changing.done():
            await at_ana.message("and so on", context=room.where)
        await at_ana.message("the end", context=room.where)
        while at_ben.seen[-1].get("message", {}).get("content") != "the end":
            await at_ben.receive()
    seqs = [frame["seq"] for frame in at_ben.seen if "seq" in frame]
    assert seqs == list(range(2, seqs[-1] + 1))


async def heard_after_removal(room: Room) -> list[Any]:
    """Remove somebody who has two open sockets; return the durable frames past the record of it."""
    await room.put(ana="claimant", ben="respondent")
    await room.open()
    async with chat(room.url, room.ana) as at_ana, chat(room.url, room.ben) as one, chat(room.url, room.ben) as two:
        talk = asyncio.create_task(keep_talking(at_ana, room))
        await one.receive("message.created")
        await room.put(ben=None)
        left = [await socket.receive("participant.left") for socket in (one, two)]
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)
        await at_ana.message("one more", context=room.where)
        for socket in (one, two):
            await answers(socket)
    assert left[0] == left[1]
    return [frame for socket in (one, two) for frame in socket.seen if frame.get("seq", 0) > left[0]["seq"]]


async def misheard(room: Room) -> list[str]:
    """Have somebody connect again and again while they are added or removed; return what they should not hear so."""
    await room.put(ana="claimant")
    await room.open()
    wrong = []
    async with chat(room.url, room.ana) as at_ana:
        for n in range(CONNECTS):
            role = None if n % 2 else "respondent"
            changing = asyncio.create_task(room.put(ben=role))
            await asyncio.sleep(n % 5 * 0.002)
            async with chat(room.url, room.ben) as at_ben:
                await changing
                if await hears(at_ana, at_ben, room) != (role is not None):
                    wrong.append(f"{n}: {role}")
    return wrong


async def hears(writer: Chat, reader: Chat, room: Room) -> bool:
    """Whether a message reaches a socket."""
    ack = await writer.message("do you hear me?", context=room.where)
    await answers(reader)
    return any(frame.get("seq") == ack["seq"] and frame["type"] == "message.created" for frame in reader.seen)


async def answers(socket: Chat) -> None:
    """Wait for a pong: everything sent before it has arrived by then."""
    ref = uuid4().hex
    await socket.send(type="ping", ref=ref)
    while (await socket.receive("pong"))["ref"] != ref:
        pass


async def keep_talking(socket: Chat, room: Room) -> None:
    """Write without a pause."""
    while True:
        await socket.message("and so on", context=room.where)


def missed(room: Room) -> dict[str, Any]:
    """Return the channel as `resume` names it, from its beginning."""
    return {"channel_id": room.channel, "after_seq": 1}
