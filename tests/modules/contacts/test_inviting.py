"""Inviting over HTTP: who may invite whom, and what is said when they may not."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from modules.contacts.domain.quotas import counter, network
from tests.modules.contacts.guests import Guests, guests, told
from tests.support.databases import Databases
from tests.support.party import refused
from tests.support.servers import Host, Server, running_server

RACERS = 50
NOBODY: tuple[int, str, list[str]] = (404, "person-not-found", [])


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that minds no misses."""
    plenty = dict.fromkeys(
        ("PARLEY_INVITE_MISSES_PER_ACCOUNT_PER_HOUR", "PARLEY_INVITE_MISSES_PER_ADDRESS_PER_HOUR"), "100000"
    )
    folder = tmp_path_factory.mktemp("inviting")
    with postgres.fresh() as dsn, running_server(dsn, folder, PARLEY_REINVITE_COOLDOWN_S="3600", **plenty) as running:
        yield running


@pytest.fixture(scope="module")
def regulars(host: Host) -> Iterator[Guests]:
    """For tests that change nothing."""
    with guests(host, "ana") as people:
        yield people


@pytest.fixture
def three(host: Host) -> Iterator[Guests]:
    with guests(host, "ana", "ben", "cem") as people:
        yield people


# whom


async def test_an_invitation_names_both_and_waits(three: Guests) -> None:
    answer = three.invite("ana", "ben", message="hi", metadata={"from": ["fair"]}, expires_in_s=3600)
    made = answer.json()
    assert answer.status_code == 201
    assert (made["kind"], made["status"], made["message"]) == ("contact", "pending", "hi")
    for side, name in (("invitor", "ana"), ("invitee", "ben")):
        user_id = three.ids[name]
        assert made[side] == {"user_id": user_id, "username": user_id, "display_name": user_id.title()}
    assert {made[field] for field in ("channel_id", "channel_title", "channel_role", "responded_at")} == {None}
    assert made["metadata"] == {"from": ["fair"]}
    (kept,) = await three.rows(
        "SELECT metadata::text, expires_at - created_at, remind_at FROM contact_invites WHERE id::text = $1",
        made["id"],
    )
    assert (kept[0], kept[1].total_seconds(), kept[2]) == ('{"from": ["fair"]}', 3600, None)
    assert await three.statuses(made["id"]) == [("pending", "ana")]


async def test_what_is_left_out_is_as_the_operator_has_set_it(three: Guests) -> None:
    made = three.invite("ana", "ben").json()
    query = "SELECT expires_at - created_at, expires_at - remind_at FROM contact_invites WHERE id::text = $1"
    [(lifetime, before)] = await three.rows(query, made["id"])
    assert (lifetime.days, before.days, made["message"], made["metadata"]) == (14, 2, None, {})


LOOK_ALIKES = str.maketrans({"0": "o", "1": "l"})
COPIED: dict[str, Callable[[str], str]] = {
    "as shown": str,
    "in lower case": str.lower,
    "with spaces": lambda pin: f" {pin.replace('-', '')} ",
    "with look-alikes": lambda pin: pin.translate(LOOK_ALIKES),
}


@pytest.mark.parametrize("how", COPIED)
def test_a_pin_is_read_as_people_copy_it(three: Guests, how: str) -> None:
    pin = three.pin("ben")
    answer = three.post("ana", {"connect_pin": COPIED[how](pin)})
    assert answer.status_code == 201
    assert answer.json()["invitee"]["user_id"] == three.ids["ben"]


def test_nobody_oneself_and_who_is_gone_are_nobody(three: Guests) -> None:
    pin = three.pin("cem")
    three.host.http.delete(f"/api/users/{three.ids['cem']}").raise_for_status()
    for body in (
        {"user_id": "nobody-at-all"},
        {"connect_pin": "00000-00000"},
        {"connect_pin": "\N{PILE OF POO}"},
        three.user("ana"),
        {"connect_pin": three.pin("ana")},
        three.user("cem"),
        {"connect_pin": pin},
        {"kind": "channel", "channel_id": three.a_group("ana"), "user_id": "nobody-at-all"},
    ):
        assert refused(three.post("ana", body)) == NOBODY, body


async def test_a_contact_and_who_was_invited_are_not_invited_again(three: Guests) -> None:
    first = three.invite("ana", "ben")
    assert refused(three.invite("ana", "ben")) == (409, "already-invited", [])
    back = three.invite("ben", "ana")
    assert (back.status_code, back.json()["id"], back.json()["status"]) == (200, first.json()["id"], "accepted")
    assert back.json()["invitor"]["user_id"] == three.ids["ana"]
    assert back.json()["responded_at"] is not None
    assert await three.are_contacts("ana", "ben")
    assert await three.statuses(first.json()["id"]) == [("pending", "ana"), ("accepted", "ben")]
    for one, other in (("ana", "ben"), ("ben", "ana")):
        assert refused(three.invite(one, other)) == (409, "already-contacts", [])


async def test_who_declined_is_not_asked_again_by_the_same_person_for_a_while(three: Guests) -> None:
    first = three.invite("ana", "ben")
    await three.decline(first)
    refusal = three.invite("ana", "ben")
    assert refused(refusal) == (409, "declined-before", [])
    assert "detail" not in refusal.json(), "when it ends is nobody's business"
    theirs = three.invite("ben", "ana")
    assert theirs.status_code == 201, "who declined may ask"
    assert three.invite("ana", "ben").json()["id"] == theirs.json()["id"], "and is answered"
    late = three.invite("ana", "cem")
    await three.decline(late, ago="3601 s")
    assert three.invite("ana", "cem").status_code == 201


async def test_one_that_is_overdue_counts_as_expired_before_the_worker_comes(three: Guests) -> None:
    for one, other in (("ana", "ben"), ("ben", "cem")):
        old = three.invite(one, other)
        await three.let_expire(old)
        new = three.invite(other if one == "ben" else one, one if one == "ben" else other)
        assert new.status_code == 201, "neither invited yet, nor an answer"
        assert await three.statuses(old.json()["id"]) == [("pending", one), ("expired", None)]
    assert not await three.are_contacts("ben", "cem")


async def test_who_blocks_is_nobody_to_the_other_and_knows_why_they_cannot(three: Guests) -> None:
    await three.block("ben", "ana")
    group = three.a_group("ana")
    channel = {"kind": "channel", "channel_id": group, **three.user("ben")}
    for body in (three.user("ben"), {"connect_pin": three.pin("ben")}, channel):
        assert refused(three.post("ana", body)) == NOBODY
    assert refused(three.invite("ben", "ana")) == (409, "blocked-by-you", [])
    await three.block("ana", "ben")
    assert refused(three.invite("ana", "ben")) == (409, "blocked-by-you", []), "whoever else blocks whom"


# into channels


async def test_an_admin_of_a_group_invites_into_it_whoever_they_know_or_not(three: Guests) -> None:
    group = three.a_group("ana")
    body = {"kind": "channel", "channel_id": group, "user_id": three.ids["ben"]}
    made = three.post("ana", body | {"channel_role": "moderator"}).json()
    assert (made["kind"], made["channel_id"], made["channel_role"], made["channel_title"]) == (
        "channel",
        group,
        "moderator",
        "Dock 4",
    )
    assert three.roles("ana", group) == {"ana": "admin"}, "not before they accept"
    assert refused(three.post("ana", body)) == (409, "already-invited", [])
    other = body | {"channel_id": three.a_group("ana"), "connect_pin": three.pin("ben")}
    del other["user_id"]
    assert three.post("ana", other).json()["channel_role"] == "member"
    assert three.invite("ana", "ben").status_code == 201, "a contact is another matter"
    assert three.invite("ben", "ana").json()["kind"] == "contact", "accepting it leaves the channels alone"


async def test_who_could_not_add_somebody_cannot_invite_them(three: Guests) -> None:
    group = three.a_group("ana")
    body = {"kind": "channel", "channel_id": group, "user_id": three.ids["cem"]}
    await three.bring("ben", group, "member")
    assert refused(three.post("ben", body)) == (403, "forbidden", [])
    assert refused(three.post("ana", body | {"user_id": three.ids["ben"]})) == (409, "already-member", [])
    foreign, nothing = (
        three.post("cem", body | three.user("ben")),
        three.post("ana", body | {"channel_id": str(uuid4())}),
    )
    assert refused(foreign) == refused(nothing) == (404, "not-found", [])
    assert {**foreign.json(), "request_id": ""} == {**nothing.json(), "request_id": ""}
    three.ask("ana", "PATCH", f"/{group}", {"status": "archived"}).raise_for_status()
    archived = three.post("ana", body)
    assert refused(archived) == (409, "conflict", [])
    assert "archived" in archived.json()["detail"]


async def test_whoever_invited_somebody_into_a_channel_nobody_does_again(three: Guests) -> None:
    group = three.a_group("ana")
    await three.bring("ben", group, "admin")
    body = {"kind": "channel", "channel_id": group, "user_id": three.ids["cem"]}
    first = three.post("ana", body)
    assert refused(three.post("ben", body)) == (409, "already-invited", [])
    await three.let_expire(first)
    assert three.post("ben", body).status_code == 201
    assert await three.statuses(first.json()["id"]) == [("pending", "ana"), ("expired", None)]


# fields

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "nobody named": ({}, "/connect_pin", "connect_pin and user_id"),
    "both named": ({"user_id": "x", "connect_pin": "y"}, "/user_id", "exclude"),
    "a channel without its id": ({"user_id": "x", "kind": "channel"}, "/channel_id", "needed"),
    "a contact with a channel": ({"user_id": "x", "channel_id": str(uuid4())}, "/channel_id", "kind channel"),
    "a contact with a role": ({"user_id": "x", "channel_role": "admin"}, "/channel_role", "kind channel"),
    "no such role": ({"user_id": "x", "kind": "channel", "channel_role": "owner"}, "/channel_role", "owner"),
    "no such kind": ({"user_id": "x", "kind": "friend"}, "/kind", "friend"),
    "a long message": ({"user_id": "x", "message": "\U0001f600" * 501}, "/message", "500"),
    "an empty message": ({"user_id": "x", "message": ""}, "/message", "1"),
    "NUL in the message": ({"user_id": "x", "message": "a\0b"}, "/message", "U+0000"),
    "a long pin": ({"connect_pin": "0" * 65}, "/connect_pin", "64"),
    "too short": ({"user_id": "x", "expires_in_s": 59}, "/expires_in_s", "60"),
    "too long": ({"user_id": "x", "expires_in_s": 90 * 86_400 + 1}, "/expires_in_s", "7776000"),
    "metadata that is none": ({"user_id": "x", "metadata": [1]}, "/metadata", "object"),
    "much metadata": ({"user_id": "x", "metadata": {"a": "x" * 16_384}}, "/metadata", "16384"),
    "NUL in metadata": ({"user_id": "x", "metadata": {"a": [{"b\0": 1}]}}, "/metadata", "U+0000"),
    "message and template": ({"user_id": "x", "message": "a", "template": "b"}, "/template", "exclude"),
    "a name that is none": ({"user_id": "x", "template": "A B"}, "/template", "a-z"),
    "an unknown field": ({"user_id": "x", "name": "y"}, "/name", "unknown"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_named(regulars: Guests, what: str) -> None:
    body, pointer, says = BAD[what]
    alone = regulars.post("ana", body)
    assert refused(alone) == (400, "malformed", [pointer])
    assert says in alone.json()["errors"][0]["message"]
    _, among = regulars.bulk("ana", regulars.user("ana"), body)
    assert [error["pointer"] for error in among["problem"]["errors"]] == [f"/invites/1{pointer}"]


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧‍👦 \U0001f600", "مرحبا \u202eabc", "  e\u0301  ", "\U0001f600" * 500, "{invitor} {x}"]
)
def test_a_message_is_kept_as_it_is_sent(three: Guests, text: str) -> None:
    assert three.invite("ana", "ben", message=text, metadata={text[:9]: text}).json()["message"] == text


# many


async def test_each_of_many_has_its_result(three: Guests) -> None:
    waiting = three.invite("cem", "ana").json()
    results = three.bulk(
        "ana",
        three.user("ben", message="one"),
        three.user("ben"),
        {"connect_pin": three.pin("ben").lower()},
        7,
        {"user_id": "nobody-at-all"},
        three.user("cem"),
        three.user("cem"),
        {"kind": "channel", "channel_id": three.a_group("ana"), **three.user("cem")},
    )
    said = [one.get("problem", {"type": one["status"]})["type"].removeprefix("/problems/") for one in results]
    assert said == [
        "created",
        "already-invited",
        "already-invited",
        "malformed",
        "person-not-found",
        "accepted",
        "already-contacts",
        "created",
    ]
    assert results[0]["invite"]["message"] == "one"
    assert results[5]["invite"]["id"] == waiting["id"]
    assert results[3]["problem"]["errors"][0]["pointer"] == "/invites/3"
    assert [one["status"] for one in results].count("error") == 5
    assert await three.are_contacts("ana", "cem")


def test_many_are_at_most_a_hundred_and_may_be_none(three: Guests) -> None:
    assert three.bulk("ana") == []
    assert refused(three.post("ana", {"invites": [three.user("ben")] * 101}, "/bulk")) == (
        400,
        "malformed",
        ["/invites"],
    )
    results = three.bulk("ana", *[three.user("ben")] * 100)
    assert [one["status"] for one in results] == ["created", *["error"] * 99]


def test_hosts_do_not_invite(three: Guests) -> None:
    for path in ("", "/bulk"):
        assert three.host.http.post(f"/api/invites{path}", json={}).status_code == 403


# sent again


def test_a_request_that_is_sent_again_is_answered_as_it_was(three: Guests) -> None:
    first = three.post("ana", three.user("ben"), Idempotency_Key="k")
    again = three.post("ana", three.user("ben"), Idempotency_Key="k")
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, first.json())
    assert refused(three.post("ana", three.user("cem"), Idempotency_Key="k")) == (409, "conflict", [])
    assert three.post("ben", three.user("ana"), Idempotency_Key="k").status_code == 200, "keys are everybody's own"
    assert three.post("ana", three.user("ben"), Idempotency_Key="k").json()["status"] == "pending", "as it was then"
    many = three.bulk("ana", three.user("cem"), {"user_id": "nobody-at-all"}, 5, Idempotency_Key="many")
    assert three.bulk("ana", three.user("cem"), {"user_id": "nobody-at-all"}, 5, Idempotency_Key="many") == many
    assert refused(three.post("ana", three.user("ben"), Idempotency_Key="no")) == (409, "already-contacts", [])


async def test_behind_a_proxy_on_this_machine_the_address_is_the_client_s(three: Guests) -> None:
    address = f"2001:db8:{uuid4().hex[:4]}:1::7"
    asked = three.post("ana", three.user("ben"), X_Forwarded_For=f"203.0.113.9, {address}")
    assert asked.status_code == 201
    known = counter("misses.address", network(address), datetime.now(UTC)).subject
    assert await three.rows("SELECT count FROM contact_usage WHERE subject = $1", known) == [(0,)]


# at once


async def test_of_fifty_at_once_one_invites(three: Guests) -> None:
    answers = await three.at_once([("ana", three.user("ben"))] * RACERS)
    assert told(answers) == {"201": 1, "already-invited": RACERS - 1}


async def test_fifty_from_both_sides_make_them_contacts_once(three: Guests) -> None:
    answers = await three.at_once([("ana", three.user("ben")), ("ben", three.user("ana"))] * (RACERS // 2))
    counts = told(answers)
    assert (counts["201"], counts["200"]) == (1, 1), counts
    assert counts.keys() <= {"201", "200", "already-invited", "already-contacts"}
    assert await three.are_contacts("ana", "ben")
    query = "SELECT status FROM contact_invites WHERE least(invitor_id, invitee_id) = $1"
    assert await three.rows(query, min(three.ids["ana"], three.ids["ben"])) == [("accepted",)]


async def test_of_fifty_into_one_channel_by_two_admins_one_invites(three: Guests) -> None:
    group = three.a_group("ana")
    await three.bring("ben", group, "admin")
    body = {"kind": "channel", "channel_id": group, **three.user("cem")}
    answers = await three.at_once([("ana", body), ("ben", body)] * (RACERS // 2))
    assert told(answers) == {"201": 1, "already-invited": RACERS - 1}


async def test_many_who_invite_each_other_at_once_all_become_contacts(host: Host) -> None:
    """Everybody asks for everybody in an order of their own: nobody waits for each other for ever."""
    names = ["ana", "ben", "cem", "dia", "eve", "fay"]
    with guests(host, *names) as people:
        asked = [
            (name, {"invites": [people.user(other) for other in names[at:] + names[:at] if other != name]})
            for at, name in enumerate(names)
        ]
        answers = await people.at_once(asked, "/bulk")
        assert [answer.status_code for answer in answers] == [200] * len(names)
        results = [one["status"] for answer in answers for one in answer.json()["results"]]
        pairs = len(names) * (len(names) - 1) // 2
        assert sorted(results) == ["accepted"] * pairs + ["created"] * pairs
