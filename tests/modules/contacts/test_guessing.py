"""Pins and ids can't be walked: misses are limited however many ask at once, and can't be told apart."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from kernel.ids import new_id
from modules.contacts.domain.quotas import network
from modules.contacts.service.limits import Charge, Misses
from tests.modules.contacts.guests import told
from tests.modules.contacts.house import BULK, BY_ADDRESS, MISSES, NAMES, House, Housing, bearer, misses, to

RACERS = 50


# guessing


async def test_an_account_misses_so_often_an_hour_and_then_finds_nobody_either(housing: Housing) -> None:
    house = await housing()
    for turn in range(MISSES):
        assert (await house.ask("p000", to(f"p00{turn + 1}"))).status_code == 201, "what is found costs nothing"
        assert (await house.ask("p000", to(f"n{turn}"))).status_code == 404
    for body in (to("nobody"), to("p050"), to("p000"), {"connect_pin": await house.pin("p051")}):
        over = await house.ask("p000", body)
        assert told([over]) == {"too-many-requests": 1}
        assert over.json()["detail"] == f"At most {MISSES} pins or ids an hour that lead to nobody, from one account"
        assert 1 <= int(over.headers["retry-after"]) <= 3600
    assert (await house.ask("p001", to("nobody"))).status_code == 404, "others may"
    await house.run("UPDATE contact_usage SET since = since - interval '1 hour'")
    assert (await house.ask("p000", to("nobody"))).status_code == 404, "and an hour later so may they"


async def test_an_address_misses_so_often_an_hour_whoever_asks(housing: Housing) -> None:
    house = await housing(invite_misses_per_account_per_hour=100)
    for turn in range(BY_ADDRESS):
        assert (await house.ask(NAMES[turn], to("nobody"), address=f"2001:db8:1:2::{turn + 1}")).status_code == 404
    over = await house.ask("p100", to("p101"), address="2001:db8:1:2:ffff::")
    assert told([over]) == {"too-many-requests": 1}
    assert "one address" in over.json()["detail"]
    assert (await house.ask("p100", to("p101"), address="2001:db8:1:3::1")).status_code == 201


def test_what_an_address_counts_as() -> None:
    same = [("2001:db8:1:2::9", "2001:db8:1:2:3:4:5:6"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::2")]
    for one, other in same:
        assert network(one) == network(other)
    assert (
        len({network(host) for host in ("192.0.2.1", "192.0.2.2", "2001:db8:1:2::", "2001:db8:1:3::", "", "unix:")})
        == 6
    )


async def test_of_many_those_are_answered_that_would_be_one_after_the_other(housing: Housing) -> None:
    house = await housing()
    entries = [to("p001"), *misses(MISSES - 1), to("p002"), to("p000"), to("p003"), to("nobody")]
    answer = await house.ask("p000", {"invites": entries}, "/bulk")
    said = [one.get("problem", {"status": one["status"]})["status"] for one in answer.json()["results"]]
    assert said == ["created", *[404] * (MISSES - 1), "created", 404, 429, 429]
    assert told([await house.ask("p000", {"invites": entries}, "/bulk")]) == {"too-many-requests": 1}


async def answered(house: House) -> Counter[str]:
    """Have somebody guess at once, and return what was said."""
    await house.race([("p000", to("p001"))])
    return told(await house.race([("p000", body) for body in misses(RACERS)]))


async def test_fifty_guesses_at_once_are_no_more(housing: Housing) -> None:
    counts = await answered(await housing())
    assert counts == {"person-not-found": MISSES, "too-many-requests": RACERS - MISSES}


async def test_more_are_without_the_charge(housing: Housing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: it is looked whether one more may be, and counted afterwards."""
    charge = Misses.charge

    async def trusting(*arguments: Any) -> Charge:
        charged = await charge(*arguments)
        return Charge(len(arguments[2]), charged.refusal, charged.counts)

    monkeypatch.setattr(Misses, "charge", trusting)
    assert (await answered(await housing()))["person-not-found"] > MISSES


async def test_a_repeat_costs_nothing_and_is_answered_after_the_limit_too(housing: Housing) -> None:
    house = await housing()
    body = {"invites": misses(MISSES)}
    async with house.client() as client:
        first, again = [
            await client.post("/api/invites/bulk", json=body, headers=bearer("p000") | {"Idempotency-Key": "k"})
            for _ in range(2)
        ]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert [count for (count,) in await house.run("SELECT count FROM contact_usage")] == [MISSES] * 2


async def test_repeats_at_once_cost_as_much_as_one(housing: Housing) -> None:
    house = await housing(invite_misses_per_account_per_hour=100, invite_misses_per_address_per_hour=100)
    headers = bearer("p000") | {"Idempotency-Key": "k"}
    async with house.client() as client:
        body = {"invites": misses(3)}
        answers = await asyncio.gather(
            *(client.post("/api/invites/bulk", json=body, headers=headers) for _ in range(8))
        )
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.text for answer in answers}) == 1
    assert {count for (count,) in await house.run("SELECT count FROM contact_usage")} == {3}


# telling misses apart


def seen(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """Return everything that an answer shows, but for its request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, headers, answer.text.replace(answer.headers["x-request-id"], "")


async def tellable(house: House) -> list[set[Any]]:
    """Return, by pin and by id, the different answers and statements that there are for nobody."""
    await house.run("INSERT INTO contact_blocks VALUES ('p002', 'p000')")
    await house.parley.identity.people.deactivate("p003")
    by_id = [to(user_id) for user_id in ("nobody", "p000", "p002", "p003")]
    by_pin = [{"connect_pin": pin} for pin in ("00000-00000", await house.pin("p000"), await house.pin("p002"))]
    await house.ask("p000", by_pin[0])  # asyncpg asks for the types of arrays once
    return [await _different(house, bodies, path) for bodies in (by_id, by_pin) for path in ("", "/bulk")]


async def _different(house: House, bodies: Sequence[Any], path: str) -> set[Any]:
    found = set()
    for body in [*bodies, *bodies]:  # in a directory that has seen them, and in one that hasn't
        house.noted.clear()
        answer = await house.ask("p000", {"invites": [body]} if path else body, path)
        status, headers, text = seen(answer)
        assert "person-not-found" in text
        found.add((status, str(sorted(headers.items())), text, tuple(house.noted)))
    return found


async def test_nobody_oneself_who_is_gone_and_who_blocks_are_answered_by_the_same_steps(housing: Housing) -> None:
    house = await housing(size=1, invite_misses_per_account_per_hour=1000, invite_misses_per_address_per_hour=1000)
    assert [len(different) for different in await tellable(house)] == [1] * 4
    assert 6 <= len(house.noted) <= 12, house.noted


async def test_blocking_somebody_first_finds_nobody_out(housing: Housing) -> None:
    """Of an id that one has blocked nothing else is told, so that blocks are no way to walk ids."""
    house = await housing(size=1)
    ids = ["p001", "p002", "p003", "nobody"]
    await house.run("INSERT INTO contact_blocks SELECT 'p000', unnest($1::text[])", ids)
    await house.run("INSERT INTO contact_blocks VALUES ('p002', 'p000')")
    await house.parley.identity.people.deactivate("p003")
    group = {"kind": "channel", "channel_id": str(new_id())}
    await house.ask("p000", to("p001"))  # asyncpg asks for the types of arrays once
    for body in ({}, group):
        told = set()
        for user_id in [*ids, *ids]:
            house.noted.clear()
            answer = await house.ask("p000", to(user_id) | body)
            told.add((*seen(answer)[::2], tuple(house.noted)))
        ((status, text, _),) = told
        assert (status, "blocked-by-you" in text) == (409, True)
    assert {count for (count,) in await house.run("SELECT count FROM contact_usage")} == {0}


async def test_it_is_seen_when_one_step_is_saved(housing: Housing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: names are only asked for where somebody was found."""
    monkeypatch.setattr("modules.contacts.service.finding.NO_ID", "p000")
    house = await housing(size=1, invite_misses_per_account_per_hour=1000, invite_misses_per_address_per_hour=1000)
    assert max(len(different) for different in await tellable(house)) > 1


async def test_pins_are_looked_up_by_their_hash_and_reach_no_log(
    housing: Housing, capfd: pytest.CaptureFixture[str]
) -> None:
    house = await housing(size=1)
    arguments: list[str] = []
    async with house.parley.database.pool.acquire() as connection:
        connection.add_query_logger(lambda query: arguments.append(repr(query.args)))
    pin = await house.pin("p001")
    digest = hashlib.sha256(pin.replace("-", "").encode()).digest()
    arguments.clear()
    assert (await house.ask("p000", {"connect_pin": pin})).status_code == 201
    assert (await house.ask("p000", {"connect_pin": pin, "message": 5})).status_code == 400
    said = " ".join(arguments)
    assert repr(digest) in said
    assert pin not in said
    captured = capfd.readouterr()
    assert pin not in captured.out + captured.err


# the cost of many


@pytest.mark.parametrize("kind", ["contact", "channel", "pin"])
async def test_a_hundred_take_the_queries_that_one_takes(housing: Housing, kind: str) -> None:
    house = await housing(size=1, invites_per_sender_per_day=1000)
    async with house.client() as client:
        group = await client.post(
            "/api/channels/group", json={"title": "t", "participant_ids": []}, headers=bearer("p000")
        )
    pins = dict(await house.run("SELECT user_id, connect_pin FROM identity_users"))
    costs = []
    for others in (NAMES[1:2], NAMES[2:3], NAMES[3 : BULK + 3]):
        bodies = {
            "contact": [to(other) for other in others],
            "channel": [to(other) | {"kind": "channel", "channel_id": group.json()["id"]} for other in others],
            "pin": [{"connect_pin": pins[other]} for other in others],
        }[kind]
        house.noted.clear()
        answer = await house.ask("p000", {"invites": bodies}, "/bulk")
        assert [one["status"] for one in answer.json()["results"]] == ["created"] * len(others)
        costs.append([query for query in house.noted if not query.startswith("SELECT t.oid")])
    assert costs[1] == costs[2]
    assert len(costs[2]) <= 16, costs[2]
