"""Contacts over HTTP: the list, checks in bulk, removal, and what is left of a direct channel."""

from collections.abc import AsyncIterator

import pytest

from bus import Bus
from kernel.database import Database
from modules.contacts.book import Book
from modules.contacts.service.contacts import Contacts
from modules.contacts.service.lifecycle import Lifecycle
from modules.identity.directory import Directory
from tests.support.acquaintance import Circle, circle
from tests.support.chat import chat
from tests.support.log import damage, read
from tests.support.party import party, refused
from tests.support.people import NoDirects
from tests.support.servers import Host
from tests.support.statements import statements


@pytest.fixture
async def friends(host: Host) -> AsyncIterator[Circle]:
    """Ana, of whom ben and cem are contacts, in this order; and dia."""
    with party(host, "ana", "ben", "cem", "dia") as people:
        async with circle(people) as gathered:
            await gathered.befriend("ana", "ben")
            await gathered.befriend("ana", "cem")
            yield gathered


async def test_the_list_is_the_newest_first_with_names_as_they_are_now(friends: Circle) -> None:
    ids, host = friends.party.ids, friends.party.host
    host.user(ids["ben"], display_name="Ben Ito", avatar_url="https://example.org/ben.png")
    answer = friends.call("ana", "GET", "/contacts").json()
    assert [one["user"] for one in answer["items"]] == [
        {"user_id": ids["cem"], "username": ids["cem"], "display_name": ids["cem"].title(), "avatar_url": None},
        {
            "user_id": ids["ben"],
            "username": ids["ben"],
            "display_name": "Ben Ito",
            "avatar_url": "https://example.org/ben.png",
        },
    ]
    assert answer["items"][0]["since"] > answer["items"][1]["since"]
    assert answer["next"] is None
    assert (friends.listed("ben"), friends.listed("dia")) == (["ana"], [])


async def test_it_is_read_in_pages_of_which_none_repeats_or_leaves_out(friends: Circle) -> None:
    await friends.rows("UPDATE contact_pairs SET since = date_trunc('day', now()) WHERE low_id LIKE 'ana%' RETURNING 1")
    await friends.befriend("ana", "dia")
    pages: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = friends.call("ana", "GET", "/contacts", limit=1, **cursor).json()
        pages += [friends.party.names[one["user"]["user_id"]] for one in answer["items"]]
        if answer["next"] is None:
            break
        cursor = {"cursor": answer["next"]}
    assert pages == ["dia", "cem", "ben"]


@pytest.mark.parametrize(
    ("q", "found"),
    [("BEN", ["ben"]), ("e", ["cem", "ben"]), ("dia", []), ("%", []), ("👋", []), ("ana", []), ("'", [])],
)
async def test_it_can_be_searched(friends: Circle, q: str, found: list[str]) -> None:
    """Ids of a test have a suffix of hexadecimal digits, which may be among them."""
    assert [name for name in friends.listed("ana", q=q) if q.lower() in name or q == "e"] == found
    assert refused(friends.call("ana", "GET", "/contacts", q="x" * 101)) == (400, "malformed", ["?q"])
    assert refused(friends.call("ana", "GET", "/contacts", q="")) == (400, "malformed", ["?q"])
    assert refused(friends.call("ana", "GET", "/contacts", cursor="AAAA")) == (400, "malformed", ["?cursor"])


async def test_people_are_checked_by_id(friends: Circle) -> None:
    ids = friends.party.ids
    asked = [ids["ben"], ids["dia"], "nobody", ids["ana"], ids["ben"]]
    answer = friends.call("ana", "GET", "/contacts/check", user_ids=",".join(asked))
    assert answer.json() == {ids["ben"]: True, ids["dia"]: False, "nobody": False, ids["ana"]: False}
    of = {"user_ids": ids["ana"], "of": ids["ben"]}
    http = friends.party.host.http
    assert http.get("/api/contacts/check", params=of).json() == {ids["ana"]: True}
    assert refused(friends.call("ben", "GET", "/contacts/check", **of)) == (400, "malformed", ["?of"])
    del of["of"]
    assert refused(http.get("/api/contacts/check", params=of)) == (400, "malformed", ["?of"])


async def test_people_are_checked_by_username_whatever_its_case(friends: Circle) -> None:
    ids, host = friends.party.ids, friends.party.host
    name = f"Ben+{ids['ben']}"
    host.user(ids["ben"], username=name)
    asked = [name, name.upper(), ids["dia"], "nobody", ids["ana"]]
    answer = friends.call("ana", "GET", "/contacts/check-by-username", usernames=",".join(asked))
    assert answer.json() == {name: True, name.upper(): True, ids["dia"]: False, "nobody": False, ids["ana"]: False}
    of = {"usernames": ids["ana"], "of": ids["ben"]}
    assert host.http.get("/api/contacts/check-by-username", params=of).json() == {ids["ana"]: True}


@pytest.mark.parametrize(
    ("what", "pointer", "asked", "says"),
    [
        ("check", "user_ids", "ana,b b", "no. 2, 'b b'"),
        ("check", "user_ids", "ana,,ben", "no. 2, ''"),
        ("check", "user_ids", "ana,", "no. 2, ''"),
        ("check", "user_ids", "x" * 65, "no. 1, 'xxx"),
        ("check", "user_ids", "é", "no. 1, 'é'"),
        ("check", "user_ids", ",".join("abc" for _ in range(1_001)), "at most 1,000"),
        ("check", "user_ids", "x" * 64_001, "64000"),
        ("check-by-username", "usernames", "ben ito", "the + as %2B"),
        ("check-by-username", "usernames", ",".join("abc" for _ in range(1_001)), "at most 1,000"),
    ],
)
async def test_what_cannot_be_checked_is_named(friends: Circle, what: str, pointer: str, asked: str, says: str) -> None:
    answer = friends.call("ana", "GET", f"/contacts/{what}", **{pointer: asked})
    assert refused(answer) == (400, "malformed", [f"?{pointer}"])
    assert says in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(("length", "fits"), [(36, True), (63, True), (64, False)])
async def test_a_thousand_ids_fit_into_a_request_unless_all_are_as_long_as_can_be(
    friends: Circle, length: int, *, fits: bool
) -> None:
    asked = [f"{number:0{length}}" for number in range(1_000)]
    answer = friends.call("ana", "GET", f"/contacts/check?user_ids={','.join(asked)}")
    assert answer.status_code in ({200} if fits else {400, 431}), answer.text
    assert not fits or answer.json() == dict.fromkeys(asked, False)


@pytest.mark.parametrize("count", [1, 1_000])
async def test_a_check_is_one_query_and_by_username_two(dsn: str, count: int) -> None:
    async with statements(dsn) as (database, noted):
        lifecycle = Lifecycle(Bus(), NoDirects(), require_contact=True)
        contacts = Contacts(database, Book(database), Directory(database), lifecycle)
        names = [f"u{number}" for number in range(count)]
        await contacts.check("ana", names)
        assert len(noted) == 1
        await contacts.check_usernames("ana", names)
        assert len(noted) == 3


async def test_a_removed_contact_reads_on_and_writes_no_more(friends: Circle) -> None:
    people = friends.party
    channel = people.direct("ana", "ben").json()["id"]
    message = {"client_id": "1", "content": "the key is under the mat"}
    assert people.ask("ana", "POST", f"/{channel}/messages", message).status_code == 201
    assert refused(friends.remove("dia", "ana")) == (404, "not-found", [])
    assert refused(friends.remove("dia", "nobody")) == (404, "not-found", [])
    assert friends.remove("ben", "ana").status_code == 204
    assert refused(friends.remove("ben", "ana")) == (404, "not-found", [])
    assert (friends.listed("ana"), friends.listed("ben")) == (["cem"], [])
    async with chat(people.host.server.ws_url, people.tokens["ana"]) as socket:
        refusal = await socket.message("hello?", channel_id=channel)
    assert refusal["problem"]["type"] == "/problems/channel-closed"
    for name in ("ana", "ben"):
        again = people.ask(name, "POST", f"/{channel}/messages", message | {"client_id": "3"})
        assert refused(again) == (409, "channel-closed", [])
        assert refused(people.direct(name, "ben" if name == "ana" else "ana")) == (403, "not-contacts", ["/user_id"])
        assert len(people.ask(name, "GET", f"/{channel}/messages").json()["items"]) == 1
        assert len(people.ask(name, "GET", f"/{channel}/log").json()["items"]) == 2
        assert people.ask(name, "PUT", f"/{channel}/read", {"seq": 2}).status_code < 300
        found = people.clients[name, 0].get("/api/search", params={"q": "mat", "channel_id": channel})
        assert len(found.json()["items"]) == 1, found.text
        assert [one["presence"] for one in people.ask(name, "GET", f"/{channel}").json()["participants"]] == [
            "offline",
            "offline",
        ]
    assert await people.steps(channel) == [("channel_archived", "-", "-", "-")]
    await friends.befriend("ana", "ben")
    assert people.ask("ben", "POST", f"/{channel}/messages", message | {"client_id": "4"}).status_code == 201
    assert [kind for kind, *_ in await people.steps(channel)] == ["channel_archived", "channel_reopened"]
    assert damage(await read(people.dsn, channel)) == []


async def test_a_new_pin_takes_the_place_of_the_old_one(host: Host) -> None:
    with party(host, "ana", "ben") as people:
        database = await Database.connect(people.dsn, size=1)
        try:
            ana = people.clients["ana", 0]
            old = ana.get("/api/users/me").json()["connect_pin"]
            new = ana.put("/api/users/me/connect-pin").json()
            assert list(new) == ["connect_pin"]
            assert ana.get("/api/users/me").json()["connect_pin"] == new["connect_pin"] != old
            assert [len(part) for part in new["connect_pin"].split("-")] == [5, 5]
            found = await Directory(database).by_pins([old, new["connect_pin"], new["connect_pin"].lower()])
            assert found == dict.fromkeys((new["connect_pin"], new["connect_pin"].lower()), people.ids["ana"])
            statuses = [ana.put("/api/users/me/connect-pin").status_code for _ in range(3)]
            assert statuses == [200, 200, 429]
            assert int(ana.put("/api/users/me/connect-pin").headers["retry-after"]) <= 20
            assert people.clients["ben", 0].put("/api/users/me/connect-pin").status_code == 200
        finally:
            await database.close()
