"""Direct channels: one for each pair, whoever races; only among contacts. What every participant sees and sets."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from kernel.database import Database, Transaction
from kernel.errors import MalformedError, ParleyError
from modules.contacts.store.book import Standing
from modules.identity.directory import Directory
from modules.messaging.contacts import Acquaintance
from modules.messaging.errors import NotContactsError
from modules.messaging.log.chain import Genesis, genesis_hash
from tests.support.chat import chat
from tests.support.databases import Databases, execute
from tests.support.log import damage, read
from tests.support.party import Party, party, refused, two_servers
from tests.support.redis_server import RedisServer
from tests.support.servers import Host, Server, running_server

RACERS = 50
FUTURE = "2100-01-01T00:00:00.000000Z"


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a host that decides itself who meets whom."""
    folder = tmp_path_factory.mktemp("free")
    with postgres.fresh() as dsn, running_server(dsn, folder, PARLEY_REQUIRE_CONTACT="false") as running:
        yield running


@pytest.fixture
def three(host: Host) -> Iterator[Party]:
    with party(host, "ana", "ben", "cem") as people:
        yield people


async def test_it_is_made_once_and_is_the_same_for_both(three: Party) -> None:
    made, again, theirs = three.direct("ana", "ben"), three.direct("ana", "ben"), three.direct("ben", "ana")
    assert [answer.status_code for answer in (made, again, theirs)] == [201, 200, 200]
    assert made.json() == again.json()
    channel = made.json()
    assert theirs.json()["id"] == channel["id"]
    assert {channel[field] for field in ("title", "context_type", "context_id", "last_message_at")} == {None}
    assert (channel["kind"], channel["status"], channel["last_seq"], channel["participant_count"]) == (
        "direct",
        "active",
        0,
        2,
    )
    assert three.roles("ben", channel["id"]) == {"ana": "member", "ben": "member"}
    log = await read(three.dsn, channel["id"])
    genesis = msgspec.json.decode(log.genesis, type=Genesis)
    assert (genesis.kind, genesis.participants) == ("direct", {three.ids["ana"]: "member", three.ids["ben"]: "member"})
    assert log.head_hash == genesis_hash(log.genesis)


@pytest.mark.parametrize(("one", "other"), [("B", "a"), ("a_b", "a-b"), ("10", "9"), ("a.", "a")])
def test_a_pair_has_one_order_whatever_the_ids(host: Host, one: str, other: str) -> None:
    with party(host, f"{one}-x", f"{other}-x") as people:
        first, second = people.ids
        assert people.direct(first, second).status_code == 201
        assert people.direct(second, first).status_code == 200


async def channels_of_a_race(people: Party) -> set[str]:
    """Have two people open their channel at once, over and over, at two servers; return the channels they were told."""
    questions = [
        (who, "POST", "/direct", {"user_id": people.ids[whom]}, at)
        for who, whom in (("ana", "ben"), ("ben", "ana"))
        for at in (0, 1)
    ]
    answers = await people.together(*questions * (RACERS // len(questions) + 1))
    assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == [answer.status_code for answer in answers].count(201)
    return {answer.json()["id"] for answer in answers}


async def test_there_is_one_however_many_race_at_two_servers(dsn: str, tmp_path: Path) -> None:
    with two_servers(dsn, tmp_path, "ana", "ben") as people:
        (channel,) = await channels_of_a_race(people)
        assert sorted(people.roles("ana", channel)) == ["ana", "ben"]


async def test_the_same_race_is_lost_without_the_mechanism(dsn: str, tmp_path: Path) -> None:
    """The broken variant: it is looked whether there is one, and made if not."""
    with two_servers(dsn, tmp_path, "ana", "ben", variant="looks_before_it_founds") as people:
        await execute(dsn, "ALTER TABLE chat_channels DROP CONSTRAINT uq_chat_channels_direct_low_direct_high")
        assert len(await channels_of_a_race(people)) > 1


async def test_both_hear_it_at_once_on_any_instance(dsn: str, tmp_path: Path, redis_server: RedisServer) -> None:
    with two_servers(dsn, tmp_path, "ana", "ben", REDIS_URL=redis_server.url) as people:
        one, two = people.servers
        tokens = people.tokens
        async with (
            chat(one.ws_url, tokens["ana"]) as at_ana,
            chat(one.ws_url, tokens["ben"]) as at_ben,
            chat(two.ws_url, tokens["ben"]) as far_ben,
        ):
            (answer,) = await people.together(("ana", "POST", "/direct", {"user_id": people.ids["ben"]}))
            ack = await at_ana.message("hello", channel_id=answer.json()["id"])
            frames = [await socket.receive("message.created") for socket in (at_ben, far_ben)]
        assert ack["seq"] == 1
        assert [frame["message"]["id"] for frame in frames] == [ack["message"]["id"]] * 2
        assert damage(await read(dsn, answer.json()["id"])) == []


def test_nobody_opens_one_with_themselves_or_with_nobody(three: Party) -> None:
    assert refused(three.direct("ana", "ana")) == (400, "malformed", ["/user_id"])
    unknown = three.ask("ana", "POST", "/direct", {"user_id": "nobody-at-all"})
    assert refused(unknown) == (400, "malformed", ["/user_id"])


def test_who_was_deactivated_keeps_a_place_under_a_pseudonym_and_gets_no_new_ones(three: Party) -> None:
    channel = three.direct("ana", "ben").json()["id"]
    three.host.http.delete(f"/api/users/{three.ids['ben']}").raise_for_status()
    seen = {one["user_id"]: one for one in three.ask("ana", "GET", f"/{channel}").json()["participants"]}
    assert seen[three.ids["ben"]]["username"].startswith("deactivated-")
    assert three.ids["ben"] not in seen[three.ids["ben"]]["display_name"]
    assert refused(three.direct("cem", "ben")) == (400, "malformed", ["/user_id"])


async def test_its_two_stay_and_nobody_joins(three: Party) -> None:
    channel = three.direct("ana", "ben").json()["id"]
    answers = [
        three.add("ana", channel, "cem"),
        three.make("ana", channel, "ben", "admin"),
        three.remove("ana", channel, "ben"),
        three.remove("ana", channel, "ana"),
        three.ask("ana", "PATCH", f"/{channel}", {"title": "us"}),
        three.ask("ana", "PATCH", f"/{channel}", {"status": "archived"}),
    ]
    assert [refused(answer) for answer in answers] == [(409, "conflict", [])] * 6
    assert await three.steps(channel) == []


def test_to_everybody_else_it_is_not_there(three: Party) -> None:
    channel = three.direct("ana", "ben").json()["id"]
    admin = three.host.token(three.ids["cem"], role="admin")
    with three.host.person(admin) as platform_admin:
        for ask in (three.clients["cem", 0], platform_admin):
            for method, path, body in questions_about(three.ids["ana"]):
                theirs = ask.request(method, f"/api/channels/{channel}{path}", json=body)
                nobodys = ask.request(method, f"/api/channels/{uuid4()}{path}", json=body)
                assert refused(theirs) == refused(nobodys) == (404, "not-found", []), (method, path)
                assert "detail" not in theirs.json()


def questions_about(user_id: str) -> list[tuple[str, str, Any]]:
    """Return everything that can be asked of one channel."""
    return [
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("PUT", "/settings", {"muted_until": None}),
        ("POST", "/participants", {"user_id": user_id}),
        ("PATCH", f"/participants/{user_id}", {"role": "admin"}),
        ("DELETE", f"/participants/{user_id}", None),
    ]


def test_a_request_that_is_sent_again_is_answered_as_it_was(three: Party) -> None:
    key = {"Idempotency-Key": "k1"}
    first = three.ask("ana", "POST", "/direct", {"user_id": three.ids["ben"]}, headers=key)
    again = three.ask("ana", "POST", "/direct", {"user_id": three.ids["ben"]}, headers=key)
    other = three.ask("ana", "POST", "/direct", {"user_id": three.ids["cem"]}, headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == 201
    assert refused(other) == (409, "conflict", [])
    three.host.http.delete(f"/api/users/{three.ids['ben']}").raise_for_status()
    late = three.ask("ana", "POST", "/direct", {"user_id": three.ids["ben"]}, headers=key)
    assert late.status_code == 201


def test_everybody_mutes_for_themselves(three: Party) -> None:
    channel = three.direct("ana", "ben").json()["id"]

    def muted(until: Any) -> Any:
        answer = three.ask("ana", "PUT", f"/{channel}/settings", {"muted_until": until})
        assert answer.status_code == 200, answer.text
        assert three.ask("ana", "GET", f"/{channel}").json()["muted_until"] == answer.json()["muted_until"]
        return answer.json()["muted_until"]

    assert muted("2099-12-31T22:00:00-02:00") == FUTURE
    assert three.ask("ben", "GET", f"/{channel}").json()["muted_until"] is None
    assert muted("2001-01-01T00:00:00Z") is None
    assert muted(FUTURE) == FUTURE
    assert muted(None) is None
    assert muted(FUTURE) == FUTURE
    assert three.ask("ana", "PUT", f"/{channel}/settings", {}).json() == {"muted_until": None}


@pytest.mark.parametrize("until", ["2100-01-01T00:00:00", "9999-12-31T23:59:59-10:00", "tomorrow", 5])
def test_a_moment_that_is_none_mutes_nothing(three: Party, until: Any) -> None:
    channel = three.direct("ana", "ben").json()["id"]
    answer = three.ask("ana", "PUT", f"/{channel}/settings", {"muted_until": until})
    assert refused(answer) == (400, "malformed", ["/muted_until"])


async def test_presence_is_shown(three: Party) -> None:
    channel = three.direct("ana", "ben").json()["id"]
    async with chat(three.host.server.ws_url, three.tokens["ben"]):
        seen = {
            one["user_id"]: one["presence"] for one in three.ask("ana", "GET", f"/{channel}").json()["participants"]
        }
    assert seen == {three.ids["ana"]: "offline", three.ids["ben"]: "online"}


# the contact rule


def test_without_contacts_nobody_can_be_told_from_somebody(dsn: str, tmp_path: Path) -> None:
    """As long as there is no list of contacts, the rule lets nobody in."""
    with running_server(dsn, tmp_path) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http, party(host, "ana", "ben") as people:
            known = people.direct("ana", "ben")
            unknown = people.ask("ana", "POST", "/direct", {"user_id": "nobody-at-all"})
            several = people.ask(
                "ana", "POST", "/group", {"title": "t", "participant_ids": [people.ids["ben"], "nobody-at-all"]}
            )
            alone = people.ask("ana", "POST", "/group", {"title": "t", "participant_ids": []})
            added = people.ask("ana", "POST", f"/{alone.json()['id']}/participants", {"user_id": people.ids["ben"]})
    assert refused(known) == refused(unknown) == (403, "not-contacts", ["/user_id"])
    assert {**known.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert refused(several) == (403, "not-contacts", ["/participant_ids/0", "/participant_ids/1"])
    assert alone.status_code == 201
    assert refused(added) == (403, "not-contacts", ["/user_id"])


class Friends:
    """Contacts as a module that keeps them answers."""

    def __init__(self, friends: Mapping[str, Collection[str]]) -> None:
        self._friends = friends

    async def contacts_of(self, user_id: str, others: Collection[str]) -> Collection[str]:
        """Return those who are."""
        return [other for other in others if other in self._friends.get(user_id, ())]

    async def blocked_of(self, _user_id: str, _others: Collection[str]) -> Collection[str]:
        """Return nobody."""
        return ()

    async def settle(self, _tx: Transaction, _user_id: str, _other: str) -> Standing:
        """Return that they are strangers."""
        return Standing(is_contact=False, is_blocked=False)


async def test_contacts_are_let_in_and_strangers_and_the_unknown_are_not(host: Host) -> None:
    with party(host, "ana", "ben", "cem", "dia") as people:
        host.http.delete(f"/api/users/{people.ids['dia']}").raise_for_status()
        ids = people.ids
        database = await Database.connect(people.dsn, size=1)
        try:
            friends = Friends({ids["ana"]: [ids["ben"], ids["dia"]]})
            rule = Acquaintance(Directory(database), friends, require_contact=True)

            async def asked(*others: str) -> tuple[type[ParleyError] | None, list[str]]:
                named = {f"/{index}": other for index, other in enumerate(others)}
                refusal = await rule.refusal(ids["ana"], named)
                pointers = [error.pointer for error in refusal.errors or []] if refusal else []
                return None if refusal is None else type(refusal), pointers

            assert await asked() == (None, [])
            assert await asked(ids["ben"]) == (None, [])
            assert await asked(ids["ben"], ids["cem"], "nobody") == (NotContactsError, ["/1", "/2"])
            assert await asked(ids["ben"], ids["dia"]) == (MalformedError, ["/1"])
            assert await asked(ids["dia"], ids["cem"]) == (NotContactsError, ["/1"])
        finally:
            await database.close()
