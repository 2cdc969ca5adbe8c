"""The inbox: newest message first, with what is new; as many queries for a thousand channels as for one."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.service.inbox import Inbox
from modules.messaging.store.inbox import Filter
from tests.support.chat import chat
from tests.support.databases import Databases
from tests.support.party import Party, party
from tests.support.pens import make_context, pen
from tests.support.servers import Host, running_server
from tests.support.statements import statements

EVERYTHING = Filter(kind=None, unread=False, archived=False)
AT_MOST = 4


@pytest.fixture(scope="module")
def host(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host whose people needn't be contacts."""
    directory = tmp_path_factory.mktemp("server")
    with postgres.fresh() as dsn, running_server(dsn, directory, PARLEY_REQUIRE_CONTACT="false") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            yield host


@pytest.fixture
def us(host: Host) -> Iterator[Party]:
    with party(host, "ana", "ben", "cem") as gathered:
        yield gathered


def test_the_newest_message_comes_first_and_channels_without_any_by_their_making(us: Party) -> None:
    one, two, three, four = (us.group("ana", "ben") for _ in range(4))
    say(us, "ben", two)
    say(us, "ana", one)
    assert ids(us, "ana") == [one, two, four, three]
    say(us, "ana", three)
    assert ids(us, "ana") == ids(us, "ben") == [three, one, two, four]
    assert ids(us, "cem") == []


def test_only_what_is_asked_for(us: Party) -> None:
    group, direct, booking = us.group("ana", "ben"), us.direct("ana", "ben").json()["id"], book(us, "ana", "ben")
    archived = us.group("ana", "ben")
    us.ask("ana", "PATCH", f"/{archived}", {"status": "archived"}).raise_for_status()
    assert ids(us, "ana") == [booking, direct, group]
    assert ids(us, "ana", archived="true") == [archived]
    assert [ids(us, "ana", kind=kind) for kind in ("group", "direct", "context")] == [[group], [direct], [booking]]
    assert (ids(us, "ana", unread="true"), ids(us, "ben", unread="true")) == ([], [booking])
    say(us, "ben", group)
    assert ids(us, "ana", unread="true", kind="group") == [group]
    for wrong in ({"kind": "booking"}, {"cursor": "nonsense"}, {"limit": "0"}, {"unread": "perhaps"}):
        refused = us.clients["ana", 0].get("/api/channels", params=wrong)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, f"?{next(iter(wrong))}")


def test_pages_hold_each_channel_once_while_messages_arrive(us: Party) -> None:
    channels = [us.group("ana", "ben") for _ in range(9)]
    for channel in channels[:5]:
        say(us, "ben", channel)
    order = ids(us, "ana")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = inbox(us, "ana", limit="2", **({"cursor": cursor} if cursor else {}))
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        say(us, "ben", seen[0])
        say(us, "ben", us.group("ana", "ben"))
    assert seen == order


def test_the_last_message_is_shown_as_it_is_now(us: Party) -> None:
    group = us.group("ana", "ben")
    assert last(us, "ana", group) is None
    sent = say(us, "ben", group, "word " * 100)
    us.add("ana", group, "cem").raise_for_status()
    shown = last(us, "cem", group)
    assert (shown["id"], shown["seq"], shown["sender"]) == (sent["id"], 1, sent["sender"])
    assert len(shown["preview"]) == 120
    assert shown["preview"].startswith("word word")
    message = f"/api/messages/{sent['id']}"
    us.clients["ben", 0].patch(message, json={"client_id": "r", "content": "never\nmind"}).raise_for_status()
    assert last(us, "ana", group)["preview"] == "never mind"
    us.clients["ben", 0].delete(message).raise_for_status()
    assert (last(us, "ana", group)["preview"], last(us, "ana", group)["is_deleted"]) == ("", True)
    assert inbox(us, "ana")["items"][0]["unread_count"] == 0


def test_a_direct_channel_names_the_other_person_as_they_are_called_now(us: Party) -> None:
    channel = us.direct("ana", "ben").json()["id"]
    say(us, "ben", channel)
    shown = {who: inbox(us, who)["items"][0] for who in ("ana", "ben")}
    assert [shown[who]["direct_user"]["user_id"] for who in ("ana", "ben")] == [us.ids["ben"], us.ids["ana"]]
    assert (shown["ana"]["title"], shown["ana"]["participant_count"]) == (None, 2)
    us.host.http.delete(f"/api/users/{us.ids['ben']}").raise_for_status()
    item = inbox(us, "ana")["items"][0]
    assert item["direct_user"] == item["last_message"]["sender"] != shown["ana"]["direct_user"]
    assert item["direct_user"]["user_id"] == us.ids["ben"]


def test_muting_shows_and_a_channel_of_others_does_not(us: Party) -> None:
    group = us.group("ana", "ben")
    until = "2100-01-01T00:00:00.000000Z"
    us.ask("ana", "PUT", f"/{group}/settings", {"muted_until": until}).raise_for_status()
    assert [inbox(us, who)["items"][0]["muted_until"] for who in ("ana", "ben")] == [until, None]
    assert us.ask("cem", "GET", f"/{group}").status_code == 404


async def test_ready_has_the_order_and_the_counts_of_the_inbox(us: Party) -> None:
    channels = [us.group("ana", "ben") for _ in range(4)]
    for channel in (channels[2], channels[0]):
        say(us, "ben", channel)
    async with chat(us.host.server.ws_url, us.tokens["ana"]) as socket:
        heads = socket.ready["channels"]
    items = inbox(us, "ana")["items"]
    assert [head["channel_id"] for head in heads] == [item["id"] for item in items]
    assert [head["unread_count"] for head in heads] == [item["unread_count"] for item in items] == [1, 1, 0, 0]


async def test_the_number_of_queries_does_not_depend_on_the_number_of_channels(dsn: str, database: Database) -> None:
    counts = []
    for n in (1, 60):
        await fill(database, n)
        async with statements(dsn) as (counted, noted):
            page = await Inbox(counted, Directory(counted)).page("ana", EVERYTHING, limit=100, cursor=None)
        assert (len(page.items), {item.unread_count for item in page.items}) == (n, {2})
        counts.append(len(noted))
    assert counts[0] == counts[1] <= AT_MOST


async def fill(database: Database, channels: int) -> None:
    """Make bookings up to this number; ben and cem write into each new one, ana reads none."""
    known = await database.pool.fetchval("SELECT count(*) FROM chat_channels")
    names = [f"b{n}" for n in range(known, channels)]
    for name in names:
        await make_context(database, name, dict.fromkeys(("ana", "ben", "cem"), "worker"))
    async with pen(database) as p:
        await asyncio.gather(*(p.stored(name, user, "c") for name in names for user in ("ben", "cem")))


def book(us: Party, *names: str) -> str:
    """Make a booking, in which the first writes; returns its channel."""
    name = uuid4().hex[:8]
    us.host.context(name, {us.ids[person]: "worker" for person in names})
    body = {"client_id": "c", "content": "hello"}
    sent = us.clients[names[0], 0].post(f"/api/contexts/booking/{name}/messages", json=body)
    return str(sent.raise_for_status().json()["channel_id"])


def say(us: Party, who: str, channel: str, content: str = "hello") -> Any:
    """Have somebody write."""
    body = {"client_id": uuid4().hex, "content": content}
    return us.ask(who, "POST", f"/{channel}/messages", body).raise_for_status().json()


def inbox(us: Party, who: str, **query: str) -> Any:
    """Return a page of somebody's inbox."""
    return us.clients[who, 0].get("/api/channels", params=query).raise_for_status().json()


def ids(us: Party, who: str, **query: str) -> list[str]:
    """Return the channels of somebody's first page."""
    return [item["id"] for item in inbox(us, who, **query)["items"]]


def last(us: Party, who: str, channel: str) -> Any:
    """Return the last message of a channel, as its own view shows it."""
    return us.ask(who, "GET", f"/{channel}").raise_for_status().json()["last_message"]
