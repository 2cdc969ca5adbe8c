"""Groups: who may change what, what becomes a record, and what those who are connected hear of it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.service.channels import Channels
from modules.messaging.service.inbox import Inbox
from realtime.hub import Hub
from realtime.presence.memory import MemoryPresence
from tests.support.chat import Chat, chat
from tests.support.databases import Databases
from tests.support.instances import PATIENCE_S, until
from tests.support.log import read
from tests.support.party import Party, party, refused
from tests.support.servers import Host, Server, running_server

MOST = 30
MANY = 1_000
Refusal = tuple[int, str, list[str]]
NOT_ALLOWED: Refusal = (403, "forbidden", [])
CONFLICT: Refusal = (409, "conflict", [])
CLOSED: Refusal = (409, "channel-closed", [])
NOT_FOUND: Refusal = (404, "not-found", [])


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a host that decides itself who meets whom."""
    folder = tmp_path_factory.mktemp("free")
    settings = {"PARLEY_REQUIRE_CONTACT": "false", "PARLEY_MAX_PARTICIPANTS": str(MOST)}
    with postgres.fresh() as dsn, running_server(dsn, folder, **settings) as running:
        yield running


@pytest.fixture
def four(host: Host) -> Iterator[Party]:
    with party(host, "ana", "ben", "cem", "dia") as people:
        yield people


async def test_its_maker_is_admin_and_the_others_are_members(four: Party) -> None:
    channel = four.group("ana", "ben", "cem")
    assert four.roles("cem", channel) == {"ana": "admin", "ben": "member", "cem": "member"}
    seen = four.ask("ben", "GET", f"/{channel}").json()
    assert (seen["kind"], seen["title"], seen["status"], seen["last_seq"]) == ("group", "Dock 4", "active", 0)
    assert await four.steps(channel) == []


def test_two_groups_of_the_same_people_are_two(four: Party) -> None:
    assert four.group("ana", "ben") != four.group("ana", "ben")


def test_a_request_that_is_sent_again_makes_one_group(four: Party) -> None:
    body = {"title": "once", "participant_ids": [four.ids["ben"]]}
    first, again = (four.ask("ana", "POST", "/group", body, headers={"Idempotency-Key": "g"}) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()


def test_who_cannot_be_in_it_is_pointed_at(four: Party) -> None:
    def made_of(*others: str) -> tuple[int, str, list[str]]:
        return refused(four.ask("ana", "POST", "/group", {"title": "t", "participant_ids": others}))

    ben, cem = four.ids["ben"], four.ids["cem"]
    assert made_of(ben, cem, ben, cem) == (400, "malformed", ["/participant_ids/2", "/participant_ids/3"])
    assert made_of(ben, four.ids["ana"]) == (400, "malformed", ["/participant_ids/1"])
    assert made_of("nobody", ben, "no-one") == (400, "malformed", ["/participant_ids/0", "/participant_ids/2"])
    assert made_of(*(f"nobody-{n}" for n in range(MOST))) == (400, "malformed", ["/participant_ids"])


def test_a_full_group_takes_nobody_more(host: Host) -> None:
    names = [f"p{n}" for n in range(MOST + 1)]
    with party(host, *names) as people:
        channel = people.group(*names[:MOST])
        answer = people.add("p0", channel, names[MOST])
        assert refused(answer) == CONFLICT
        assert str(MOST) in answer.json()["detail"]
        people.remove("p0", channel, "p1").raise_for_status()
        assert people.add("p0", channel, names[MOST]).status_code == 201


async def test_admins_add_change_and_remove(four: Party) -> None:
    channel = four.group("ana", "ben")
    assert four.add("ana", channel, "cem", "moderator").status_code == 201
    assert four.make("ana", channel, "ben", "admin").json()["role"] == "admin"
    assert four.add("ben", channel, "dia").status_code == 201
    assert four.remove("ben", channel, "ana").status_code == 204
    assert four.roles("dia", channel) == {"ben": "admin", "cem": "moderator", "dia": "member"}
    assert await four.steps(channel) == [
        ("participant_joined", "cem", "moderator", "ana"),
        ("participant_role_changed", "ben", "admin", "ana"),
        ("participant_joined", "dia", "member", "ben"),
        ("participant_left", "ana", "-", "ben"),
    ]


async def test_what_is_so_already_appends_nothing(four: Party) -> None:
    channel = four.group("ana", "ben")
    assert four.add("ana", channel, "ben").status_code == 200
    assert four.make("ana", channel, "ben", "member").status_code == 200
    assert four.make("ana", channel, "ana", "admin").status_code == 200
    for body in ({}, {"status": "active"}, {"title": "Dock 4"}):
        assert four.ask("ana", "PATCH", f"/{channel}", body).status_code == 200
    assert refused(four.add("ana", channel, "ben", "moderator")) == CONFLICT
    assert await four.steps(channel) == []


@pytest.mark.parametrize("role", ["member", "moderator"])
async def test_only_admins_change_anything_but_their_own_presence(four: Party, role: str) -> None:
    channel = four.group("ana", "ben", "cem")
    four.make("ana", channel, "ben", role).raise_for_status()
    before = await four.steps(channel)
    answers = [
        four.add("ben", channel, "dia"),
        four.make("ben", channel, "cem", "admin"),
        four.make("ben", channel, "ben", "admin"),
        four.remove("ben", channel, "cem"),
        four.remove("ben", channel, "dia"),
        four.ask("ben", "PATCH", f"/{channel}", {"title": "mine"}),
        four.ask("ben", "PATCH", f"/{channel}", {"status": "archived"}),
    ]
    assert [refused(answer) for answer in answers] == [NOT_ALLOWED] * len(answers)
    assert await four.steps(channel) == before
    assert four.remove("ben", channel, "ben").status_code == 204


def test_to_everybody_else_it_is_not_there(four: Party) -> None:
    channel = four.group("ana", "ben")
    answers = [
        four.ask("dia", "GET", f"/{channel}"),
        four.add("dia", channel, "dia"),
        four.make("dia", channel, "ben", "member"),
        four.remove("dia", channel, "dia"),
        four.ask("dia", "PATCH", f"/{channel}", {"status": "archived"}),
        four.ask("dia", "PUT", f"/{channel}/settings", {}),
        four.make("ana", channel, "dia", "member"),
        four.remove("ana", channel, "dia"),
    ]
    assert [refused(answer) for answer in answers] == [NOT_FOUND] * len(answers)


async def test_the_last_admin_remains_one_as_long_as_they_are_there(four: Party) -> None:
    channel = four.group("ana", "ben", "cem")
    assert refused(four.make("ana", channel, "ana", "member")) == CONFLICT
    four.make("ana", channel, "ben", "admin").raise_for_status()
    assert four.make("ana", channel, "ana", "member").status_code == 200
    assert refused(four.make("ben", channel, "ben", "moderator")) == CONFLICT
    assert four.roles("cem", channel) == {"ana": "member", "ben": "admin", "cem": "member"}


async def test_who_follows_the_last_admin(four: Party) -> None:
    """The longest-standing moderator, else the longest-standing member."""
    channel = four.group("ana", "ben")
    four.add("ana", channel, "cem", "moderator").raise_for_status()
    four.add("ana", channel, "dia", "moderator").raise_for_status()
    assert four.remove("ana", channel, "ana").status_code == 204
    assert four.roles("dia", channel) == {"ben": "member", "cem": "admin", "dia": "moderator"}
    four.make("cem", channel, "dia", "member").raise_for_status()
    assert four.remove("cem", channel, "cem").status_code == 204
    assert four.roles("dia", channel) == {"ben": "admin", "dia": "member"}
    assert (await four.steps(channel))[-2:] == [
        ("participant_left", "cem", "-", "cem"),
        ("participant_role_changed", "ben", "admin", "cem"),
    ]


async def test_the_last_one_out_archives_it(four: Party) -> None:
    channel = four.group("ana", "ben")
    for name in ("ben", "ana"):
        assert four.remove(name, channel, name).status_code == 204
    assert (await four.steps(channel))[-2:] == [
        ("participant_left", "ana", "-", "ana"),
        ("channel_archived", "-", "-", "ana"),
    ]
    assert refused(four.ask("ana", "PATCH", f"/{channel}", {"status": "active"})) == NOT_FOUND


async def test_an_archived_group_is_closed_until_it_is_reopened(four: Party) -> None:
    channel = four.group("ana", "ben", "cem")
    async with chat(four.host.server.ws_url, four.tokens["ben"]) as at_ben:
        for status, kind in (("archived", "channel.archived"), ("active", "channel.reopened")):
            changed = four.ask("ana", "PATCH", f"/{channel}", {"status": status})
            assert changed.json()["status"] == status
            frame = await at_ben.receive(kind)
            assert frame["by"] == four.ids["ana"]
            answer = await at_ben.message("hello?", channel_id=channel)
            assert (answer["type"] == "ack") is (status == "active")
    four.ask("ana", "PATCH", f"/{channel}", {"status": "archived", "title": "over"}).raise_for_status()
    answers = [
        four.add("ana", channel, "dia"),
        four.make("ana", channel, "ben", "admin"),
        four.remove("ana", channel, "ben"),
        four.ask("ana", "PATCH", f"/{channel}", {"title": "other"}),
    ]
    assert [refused(answer) for answer in answers] == [CLOSED] * len(answers)
    assert four.remove("ana", channel, "ana").status_code == 204
    assert four.roles("ben", channel) == {"ben": "admin", "cem": "member"}
    reopened = four.ask("ben", "PATCH", f"/{channel}", {"title": "again", "status": "active"})
    assert (reopened.json()["title"], reopened.json()["status"]) == ("again", "active")
    assert [step[0] for step in await four.steps(channel)][-3:] == [
        "participant_left",
        "participant_role_changed",
        "channel_reopened",
    ]


async def test_who_is_there_hears_it_and_who_is_removed_hears_it_last(four: Party) -> None:
    channel = four.group("ana", "ben")
    url = four.host.server.ws_url
    async with (
        chat(url, four.tokens["ana"]) as at_ana,
        chat(url, four.tokens["ben"]) as at_ben,
        chat(url, four.tokens["cem"]) as at_cem,
    ):
        four.add("ana", channel, "cem").raise_for_status()
        four.make("ana", channel, "cem", "moderator").raise_for_status()
        four.remove("ana", channel, "cem").raise_for_status()
        await at_ana.message("between us", channel_id=channel)
        heard = {name: await frames(socket) for name, socket in (("ben", at_ben), ("cem", at_cem))}
    log = await read(four.dsn, channel)
    assert heard == {"ben": [log.frame(seq) for seq in (1, 2, 3, 4)], "cem": [log.frame(seq) for seq in (1, 2, 3)]}
    joined = heard["cem"][0]
    assert (joined["type"], joined["role"], joined["by"]) == ("participant.joined", "member", four.ids["ana"])


async def test_who_comes_back_has_their_place_and_marks(four: Party) -> None:
    channel = four.group("ana", "ben")
    async with chat(four.host.server.ws_url, four.tokens["ana"]) as at_ana:
        for n in range(3):
            await at_ana.message(f"{n}", channel_id=channel)
        four.ask("ben", "PUT", f"/{channel}/read", {"seq": 2}).raise_for_status()
        four.ask("ben", "PUT", f"/{channel}/settings", {"muted_until": "2100-01-01T00:00:00Z"}).raise_for_status()
        four.remove("ana", channel, "ben").raise_for_status()
        await at_ana.message("behind ben's back", channel_id=channel)
        four.add("ana", channel, "ben").raise_for_status()
        assert own(four, "ben", channel) == (2, 0)
        await at_ana.message("welcome back", channel_id=channel)
    assert own(four, "ben", channel) == (2, 1)
    history = four.ask("ben", "GET", f"/{channel}/messages").json()["items"]
    assert [message["content"] for message in history] == ["0", "1", "2", "behind ben's back", "welcome back"]
    assert four.ask("ben", "GET", f"/{channel}").json()["muted_until"] == "2100-01-01T00:00:00.000000Z"


async def test_a_thousand_take_part_at_the_cost_of_two(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, PARLEY_REQUIRE_CONTACT="false") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http, party(host, "ana", "ben") as people:
            small = people.group("ana", "ben")
            crowd = [f"crowd-{n}" for n in range(MANY - 1)]
            for start in range(0, len(crowd), 100):
                users = [{"user_id": one, "username": one, "display_name": one} for one in crowd[start : start + 100]]
                host.http.post("/api/users/batch", json={"users": users}).raise_for_status()
            made = people.ask("ana", "POST", "/group", {"title": "all", "participant_ids": crowd})
            assert made.status_code == 201, made.text
            great = made.json()
            assert {one["user_id"] for one in great["participants"]} == {*crowd, people.ids["ana"]}
            assert great["participant_count"] == len(great["participants"]) == MANY
            costs = [await queries(dsn, people.ids["ana"], channel) for channel in (small, great["id"])]
    assert costs[0] == costs[1]
    assert len(costs[0]) <= 5


async def queries(dsn: str, user_id: str, channel: str) -> list[str]:
    """Return the queries that it takes to see a channel, when nobody is known yet."""
    database = await Database.connect(dsn, size=1)
    try:
        people, asked = Directory(database), list[str]()
        channels = Channels(database, people, MemoryPresence(Hub(), 300), Inbox(database, people))
        async with database.connection() as connection:
            connection.add_query_logger(lambda query: asked.append(query.query))
        await channels.detail(user_id, UUID(channel))
        return asked
    finally:
        await database.close()


def own(people: Party, name: str, channel: str) -> tuple[int, int]:
    """Return somebody's read mark and their number of unread messages."""
    seen = people.ask(name, "GET", f"/{channel}").json()
    return seen["last_read_seq"], seen["unread_count"]


async def frames(socket: Chat) -> list[dict[str, Any]]:
    """Return the durable frames that a socket has heard by now."""
    await socket.send(type="ping", ref="now")
    await socket.receive("pong")
    return [frame for frame in socket.seen if "seq" in frame]


async def test_who_is_deactivated_is_in_no_group_any_more(four: Party) -> None:
    """Else a group might be left that nobody can change."""
    channel, empty = four.group("ana", "ben", "cem"), four.group("ana", "dia")
    for gone in ("ana", "dia"):
        four.host.http.delete(f"/api/users/{four.ids[gone]}").raise_for_status()
    await until(lambda: four.roles("ben", channel) == {"ben": "admin", "cem": "member"})
    async with asyncio.timeout(PATIENCE_S):
        while "channel_archived" not in str(await four.steps(empty)):
            await asyncio.sleep(0.05)
    assert "participant_left" in str((await four.steps(channel))[0])
