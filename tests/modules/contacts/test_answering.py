"""What the two people of an invitation can do about it, when, and what everybody else is told."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kernel.clock import now
from modules.contacts.domain.invites import REMIND_EVERY
from tests.support.invitations import Invitations
from tests.support.party import Party, party, refused
from tests.support.servers import Host

OVER = {"created_at": now() - timedelta(days=2), "expires_at": now() - timedelta(days=1)}
PATIENCE_S = 15


@pytest.fixture
def people(host: Host) -> Iterator[Party]:
    with party(host, "ana", "ben", "cleo", "dan") as gathered:
        yield gathered


@pytest.fixture
async def invite(people: Party, invites: Invitations) -> str:
    """Ana has invited ben."""
    return await invites.one(people.ids["ana"], people.ids["ben"], message="Hello", metadata={"site": "Dock 4"})


def act(people: Party, name: str, invite_id: str, action: str) -> httpx.Response:
    return people.clients[name, 0].put(f"/api/invites/{invite_id}", json={"action": action})


def seen(people: Party, name: str, invite_id: str) -> Any:
    return people.clients[name, 0].get(f"/api/invites/{invite_id}").raise_for_status().json()


def everything(people: Party, name: str, answer: str) -> Any:
    return people.clients[name, 0].post(f"/api/invites/{answer}-all").raise_for_status().json()


async def test_who_accepts_becomes_a_contact(people: Party, invites: Invitations, invite: str) -> None:
    before = seen(people, "ben", invite)
    answer = act(people, "ben", invite, "accept")
    assert answer.status_code == 200
    told = answer.json()
    assert told == {name: value for name, value in before.items() if name != "history"} | {
        "status": "accepted",
        "responded_at": told["responded_at"],
    }
    assert told["responded_at"] > told["created_at"]
    ana = people.ids["ana"]
    assert told["invitor"] == {"user_id": ana, "username": ana, "display_name": ana.title()}
    assert (told["message"], told["metadata"], told["kind"]) == ("Hello", {"site": "Dock 4"}, "contact")
    assert await invites.are_contacts(people.ids["ana"], people.ids["ben"])
    assert people.direct("ana", "ben").status_code == 201
    for name in ("ana", "ben"):
        history = seen(people, name, invite)["history"]
        assert [(step["status"], step["by"]) for step in history] == [
            ("pending", people.ids["ana"]),
            ("accepted", people.ids["ben"]),
        ]
        assert history[1]["at"] == told["responded_at"]


@pytest.mark.parametrize(("name", "action", "status"), [("ben", "decline", "declined"), ("ana", "revoke", "revoked")])
async def test_it_ends_otherwise(
    people: Party, invites: Invitations, invite: str, name: str, action: str, status: str
) -> None:
    told = act(people, name, invite, action).raise_for_status().json()
    assert told["status"] == status
    assert (told["responded_at"] is not None) == (status == "declined")
    assert not await invites.are_contacts(people.ids["ana"], people.ids["ben"])
    assert seen(people, "ana", invite)["history"][1]["by"] == people.ids[name]


@pytest.mark.parametrize(("name", "action"), [("ben", "accept"), ("ben", "decline"), ("ana", "revoke")])
async def test_the_same_again_changes_nothing_and_anything_else_is_too_late(
    people: Party, invites: Invitations, invite: str, name: str, action: str
) -> None:
    first = act(people, name, invite, action)
    assert act(people, name, invite, action).json() == first.json()
    history = seen(people, "ana", invite)["history"]
    for other_name, other in (("ben", "accept"), ("ben", "decline"), ("ana", "revoke"), ("ana", "remind")):
        if other != action:
            assert refused(act(people, other_name, invite, other)) == (409, "invite-closed", [])
    assert first.json()["status"] in act(people, "ana", invite, "remind").json()["detail"]
    assert seen(people, "ana", invite)["history"] == history
    assert len(history) == 2


async def test_each_has_their_part(people: Party, invites: Invitations, invite: str) -> None:
    for name, action in (("ana", "accept"), ("ana", "decline"), ("ben", "revoke"), ("ben", "remind")):
        assert refused(act(people, name, invite, action)) == (403, "forbidden", [])
    assert seen(people, "ana", invite)["status"] == "pending"


async def test_to_others_it_is_not_there(people: Party, invites: Invitations, invite: str) -> None:
    def told(answer: httpx.Response) -> Any:
        return answer.status_code, {name: value for name, value in answer.json().items() if name != "request_id"}

    cleo, nothing = people.clients["cleo", 0], str(uuid4())
    assert told(cleo.get(f"/api/invites/{invite}")) == told(cleo.get(f"/api/invites/{nothing}"))
    for action in ("accept", "decline", "revoke", "remind"):
        assert told(act(people, "cleo", invite, action)) == told(act(people, "cleo", nothing, action))
    assert act(people, "cleo", invite, "accept").status_code == 404


async def test_past_its_time_it_is_over_before_anybody_wrote_so(people: Party, invites: Invitations) -> None:
    """Whether the worker has come by or not, nobody can tell."""
    made = await invites.one(people.ids["ana"], people.ids["ben"], **OVER)
    for name, action in (("ben", "accept"), ("ben", "decline"), ("ana", "revoke"), ("ana", "remind")):
        answer = act(people, name, made, action)
        assert refused(answer) == (409, "invite-closed", [])
        assert "expired" in answer.json()["detail"]
    assert not await invites.are_contacts(people.ids["ana"], people.ids["ben"])


async def test_reminders_have_a_limit_and_a_pace(people: Party, invites: Invitations, invite: str) -> None:
    assert act(people, "ana", invite, "remind").raise_for_status().json()["status"] == "pending"
    often = act(people, "ana", invite, "remind")
    assert refused(often) == (409, "reminded-too-often", [])
    assert "24 hours" in often.json()["detail"]
    back = "UPDATE contact_invites SET reminded_at = reminded_at - $2::interval WHERE id::text = $1"
    for _ in range(2):
        await invites.fetch(back, invite, REMIND_EVERY)
        assert act(people, "ana", invite, "remind").status_code == 200
    await invites.fetch(back, invite, REMIND_EVERY)
    enough = act(people, "ana", invite, "remind")
    assert refused(enough) == (409, "reminded-too-often", [])
    assert "3" in enough.json()["detail"]
    assert [step["status"] for step in seen(people, "ana", invite)["history"]] == ["pending"]


async def test_a_server_reminds_and_ends_by_itself(people: Party, invites: Invitations) -> None:
    begun = now()
    soon = {"created_at": begun - timedelta(hours=1), "remind_at": begun, "expires_at": begun + timedelta(seconds=3)}
    made = await invites.one(people.ids["ana"], people.ids["ben"], **soon)
    query = "SELECT reminders, status FROM contact_invites WHERE id::text = $1"
    states: list[tuple[Any, ...]] = [(0, "pending")]
    async with asyncio.timeout(PATIENCE_S):
        while states[-1][1] == "pending":
            states += await invites.fetch(query, made)
            await asyncio.sleep(0.05)
    assert set(states) == {(0, "pending"), (1, "pending"), (1, "expired")}
    history = seen(people, "ana", made)["history"]
    assert [(step["status"], step["by"]) for step in history] == [("pending", people.ids["ana"]), ("expired", None)]


async def test_who_accepts_is_in_the_channel_in_their_role(people: Party, invites: Invitations) -> None:
    group = await founded(people, invites)
    made = await invites.one(
        people.ids["ana"], people.ids["ben"], channel_id=group, channel_title="Dock 4", channel_role="moderator"
    )
    told = act(people, "ben", made, "accept").raise_for_status().json()
    assert (told["channel_id"], told["channel_title"], told["channel_role"]) == (group, "Dock 4", "moderator")
    async with asyncio.timeout(PATIENCE_S):
        while "ben" not in people.roles("ana", group):
            await asyncio.sleep(0.02)
    assert people.roles("ana", group)["ben"] == "moderator"
    assert not await invites.are_contacts(people.ids["ana"], people.ids["ben"])


async def test_what_the_channel_refuses_stays_pending_and_says_no_more(people: Party, invites: Invitations) -> None:
    """Each reason in turn looks alike: archived, not an admin any more, gone."""
    group = await founded(people, invites)
    made = await invites.one(people.ids["ana"], people.ids["ben"], channel_id=group)
    nowhere = await invites.one(people.ids["ana"], people.ids["ben"], channel_id=str(uuid4()))
    people.ask("ana", "PATCH", f"/{group}", {"status": "archived"}).raise_for_status()
    archived = act(people, "ben", made, "accept")
    people.ask("ana", "PATCH", f"/{group}", {"status": "active"}).raise_for_status()
    people.make("ana", group, "cleo", "admin").raise_for_status()
    people.make("ana", group, "ana", "member").raise_for_status()
    powerless = act(people, "ben", made, "accept")
    unknown = act(people, "ben", nowhere, "accept")
    for answer in (archived, powerless, unknown):
        assert refused(answer) == (409, "not-admitted", [])
        assert answer.json()["detail"] == archived.json()["detail"]
    people.make("cleo", group, "ana", "admin").raise_for_status()
    assert act(people, "ben", made, "accept").json()["status"] == "accepted"
    assert act(people, "ben", nowhere, "decline").json()["status"] == "declined"


async def founded(people: Party, invites: Invitations) -> str:
    """Let ana make a group with cleo."""
    ana, cleo = people.ids["ana"], people.ids["cleo"]
    query = (
        "INSERT INTO contact_pairs (low_id, high_id) VALUES (least($1, $2), greatest($1, $2)) ON CONFLICT DO NOTHING"
    )
    await invites.fetch(query, ana, cleo)
    return people.group("ana", "cleo")


@pytest.mark.parametrize(("answer", "status"), [("accept", "accepted"), ("decline", "declined")])
async def test_all_that_wait_are_answered_and_one_that_cannot_be_hurts_no_other(
    people: Party, invites: Invitations, answer: str, status: str
) -> None:
    ben = people.ids["ben"]
    ids = [await invites.one(people.ids[name], ben) for name in ("ana", "cleo")]
    ids.append(await invites.one(people.ids["dan"], ben, channel_id=str(uuid4())))
    await invites.one(people.ids["dan"], ben, **OVER)
    mine = await invites.one(ben, people.ids["dan"], channel_id=str(uuid4()))
    told = everything(people, "ben", answer)
    assert told["more"] is False
    outcomes = [(one["invite_id"], one["status"]) for one in told["results"]]
    last = "error" if answer == "accept" else status
    assert outcomes == list(zip(ids, [status, status, last], strict=True))
    assert [one["invite"]["status"] for one in told["results"] if "invite" in one] == [
        one for _, one in outcomes if one != "error"
    ]
    if answer == "accept":
        assert told["results"][2]["problem"]["type"] == "/problems/not-admitted"
        assert everything(people, "ben", "accept")["results"] == [told["results"][2]]
    else:
        assert everything(people, "ben", "decline") == {"results": [], "more": False}
    for name in ("ana", "cleo"):
        assert await invites.are_contacts(people.ids[name], ben) == (answer == "accept")
    assert seen(people, "ben", mine)["status"] == "pending"


async def test_who_is_gone_cannot_be_accepted_and_all_of_theirs_ends(
    people: Party, invites: Invitations, host: Host
) -> None:
    ana, ben, cleo, dan = (people.ids[name] for name in ("ana", "ben", "cleo", "dan"))
    received, sent = await invites.one(ana, ben), await invites.one(ben, cleo)
    channel = await invites.one(dan, ben, channel_id=str(uuid4()))
    others = await invites.one(ana, cleo)
    ended = await invites.one(ben, dan)
    act(people, "dan", ended, "accept").raise_for_status()
    for blocker, blocked in ((ben, cleo), (cleo, ben)):
        await invites.fetch("INSERT INTO contact_blocks VALUES ($1, $2)", blocker, blocked)
    host.http.delete(f"/api/users/{ben}").raise_for_status()
    assert act(people, "cleo", sent, "accept").status_code == 409
    async with asyncio.timeout(PATIENCE_S):
        while await invites.fetch("SELECT FROM contact_blocks WHERE blocker_id = $1", ben):
            await asyncio.sleep(0.02)
    for name, invite_id in (("ana", received), ("cleo", sent), ("dan", channel)):
        told = seen(people, name, invite_id)
        assert told["status"] == "revoked"
        assert told["history"][1]["by"] is None
        other = told["invitee" if name != "cleo" else "invitor"]
        assert "Ben" not in other["display_name"], "a pseudonym"
    assert not await invites.are_contacts(ben, dan)
    assert seen(people, "dan", ended)["status"] == "accepted"
    assert seen(people, "ana", others)["status"] == "pending"
    assert await invites.fetch("SELECT FROM contact_blocks WHERE blocker_id = $1", cleo)
