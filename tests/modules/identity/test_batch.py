"""A batch: a result for each, and a bad entry fails alone."""

import asyncio
from typing import Any

import httpx
import pytest

from bus import Bus
from kernel.database import Database
from modules.identity.events import UserUpdated
from modules.identity.schemas import UserEntry
from modules.identity.service import People
from modules.identity.store import Saved
from tests.modules.identity.conftest import Identity


def entry(user_id: str, **changes: Any) -> dict[str, Any]:
    return {"user_id": user_id, "username": user_id, "display_name": user_id} | changes


async def results(http: httpx.AsyncClient, *entries: Any) -> list[dict[str, Any]]:
    reply = await http.post("/api/users/batch", json={"users": entries})
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["results"]
    assert len(found) == len(entries)
    return found


async def statuses(http: httpx.AsyncClient, *entries: Any) -> list[str]:
    return [result["status"] for result in await results(http, *entries)]


async def test_each_entry_has_its_result(http: httpx.AsyncClient, identity: Identity) -> None:
    await results(http, entry("ana"), entry("bo"))
    identity.published.clear()
    outcome = await results(
        http,
        entry("new"),
        5,
        None,
        entry("ana"),
        {"user_id": "half"},
        entry("bo", display_name="Bo"),
        entry("bad", phone="+1"),
        entry("a b"),
        entry("new"),
        entry("other", username="ANA"),
        entry("me"),
        entry("last", unknown=1),
    )
    assert [(one["user_id"], one["status"]) for one in outcome] == [
        ("new", "created"),
        (None, "error"),
        (None, "error"),
        ("ana", "unchanged"),
        ("half", "error"),
        ("bo", "updated"),
        ("bad", "error"),
        ("a b", "error"),
        ("new", "error"),
        ("other", "error"),
        ("me", "error"),
        ("last", "error"),
    ]
    problems = {one["user_id"]: one["problem"] for one in outcome if one["status"] == "error"}
    assert {user_id: problem["status"] for user_id, problem in problems.items()} == {
        None: 400, "half": 400, "bad": 400, "a b": 400, "new": 409, "other": 409, "me": 400, "last": 400,
    }  # fmt: skip
    assert problems["half"]["errors"][0]["pointer"] == "/users/4/username"
    assert problems["bad"]["errors"][0]["pointer"] == "/users/6/phone"
    assert problems["other"]["errors"][0]["pointer"] == "/users/9/username"
    assert problems["last"]["errors"][0]["pointer"] == "/users/11/unknown"
    changed = [event.user_id for event in identity.published if isinstance(event, UserUpdated)]
    assert sorted(changed) == ["bo", "new"]


async def test_an_empty_batch_has_no_results(http: httpx.AsyncClient) -> None:
    assert await results(http) == []


@pytest.mark.parametrize(
    "body",
    [[], {}, {"users": None}, {"users": {}}, {"users": "x"}, {"users": [], "x": 1}, {"users": [{}] * 101}],
    ids=lambda body: str(body)[:30],
)
async def test_what_is_no_batch_is_refused_whole(http: httpx.AsyncClient, body: Any) -> None:
    reply = await http.post("/api/users/batch", json=body)
    assert reply.status_code == 400
    assert reply.json()["errors"]


async def test_whoever_holds_a_username_keeps_it_and_then_the_first_gets_it(http: httpx.AsyncClient) -> None:
    await results(http, entry("ana", username="x"))
    assert await statuses(http, entry("bo", username="X"), entry("ana", username="x", display_name="A")) == [
        "error",
        "updated",
    ]
    assert await statuses(http, entry("b1", username="Y"), entry("b2", username="y")) == ["created", "error"]


async def test_a_hundred_cost_what_one_costs(single: Database) -> None:
    queries: list[str] = []
    async with single.connection() as connection:
        connection.add_query_logger(lambda query: queries.append(query.query))
    people = People(single, Bus())
    await people.put_all([UserEntry(**entry("first"))])  # asyncpg asks for the types of arrays once
    costs = []
    for count in (1, 100):
        queries.clear()
        outcomes = await people.put_all([UserEntry(**entry(f"{count}-{n}")) for n in range(count)])
        assert all(isinstance(outcome, Saved) for outcome in outcomes)
        costs.append([query.split()[0] for query in queries])
    assert costs == [["BEGIN;", "WITH", "SELECT", "COMMIT;"]] * 2


async def test_batches_that_race_over_the_same_people_all_succeed(http: httpx.AsyncClient) -> None:
    people = [f"u{n}" for n in range(40)]
    replies = await asyncio.gather(
        *(
            statuses(http, *(entry(user, display_name=f"{user} {turn}") for user in people[:: 1 if turn % 2 else -1]))
            for turn in range(12)
        )
    )
    assert {status for reply in replies for status in reply} <= {"created", "updated", "unchanged"}
    assert sum(reply.count("created") for reply in replies) == len(people)


async def test_batches_that_race_for_usernames_give_each_to_one(http: httpx.AsyncClient) -> None:
    replies = await asyncio.gather(
        *(statuses(http, *(entry(f"{turn}-{n}", username=f"name{n}") for n in range(20))) for turn in range(8))
    )
    assert [sum(reply[n] == "created" for reply in replies) for n in range(20)] == [1] * 20
