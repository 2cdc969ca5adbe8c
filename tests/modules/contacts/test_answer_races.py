"""Invitations that both people and the worker act on at once: one of them wins, and everybody is told the same."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest

from kernel.clock import now
from tests.support.invitations import Invitations, invitations
from tests.support.party import Party, party
from tests.support.servers import Host, running_server
from tests.support.sweeping import Instance

AT_ONCE = 50
ROUNDS = 4
OUTCOMES = {"accept": "accepted", "decline": "declined", "revoke": "revoked"}


class Attempt(msgspec.Struct, frozen=True):
    """What somebody tried, and what they were told."""

    action: str
    status: int
    outcome: str


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[Party]:
    with party(host, "ana", "ben") as gathered:
        yield gathered


@asynccontextmanager
async def clients(people: Party) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Everybody's client for many requests at once."""
    url = people.host.server.url
    async with (
        httpx.AsyncClient(base_url=url, headers=bearer(people.tokens["ana"]), trust_env=False, timeout=60) as ana,
        httpx.AsyncClient(base_url=url, headers=bearer(people.tokens["ben"]), trust_env=False, timeout=60) as ben,
    ):
        yield {"ana": ana, "ben": ben}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def attempt(asking: dict[str, httpx.AsyncClient], invite_id: str, action: str) -> Attempt:
    """Have whoever may do it do it."""
    name = "ana" if action == "revoke" else "ben"
    answer = await asking[name].put(f"/api/invites/{invite_id}", json={"action": action})
    told = answer.json()
    return Attempt(action, answer.status_code, str(told["status"] if answer.is_success else told["type"]))


async def race(people: Party, invites: Invitations, actions: Sequence[str], *, expiry: bool = False) -> list[str]:
    """Let people act at once on an invitation of ana's to ben; returns what is wrong with what came of it."""
    ana, ben = people.ids["ana"], people.ids["ben"]
    made = await invites.one(ana, ben)
    worker = Instance(invites.database)
    worker.time = now() + timedelta(days=2)
    async with clients(people) as asking:
        rounds = [worker.expiry.round()] if expiry else []
        attempts = [attempt(asking, made, action) for action in random.sample(actions, len(actions))]
        told = (await asyncio.gather(*attempts, *rounds))[: len(attempts)]
    [(status,)] = await invites.fetch("SELECT status FROM contact_invites WHERE id::text = $1", made)
    found = list(faults([one for one in told if isinstance(one, Attempt)], status))
    if (await invites.ends([made]))[made] != [status]:
        found.append("not one end")
    if await invites.are_contacts(ana, ben) != (status == "accepted"):
        found.append("contacts without a yes, or none with one")
    await invites.fetch("DELETE FROM contact_pairs WHERE $1 IN (low_id, high_id)", ana)
    return found


def faults(told: Sequence[Attempt], status: str) -> Iterator[str]:
    """Yield what people were told that isn't so."""
    for one, count in Counter(told).items():
        wins = OUTCOMES[one.action] == status
        expected = (200, status) if wins else (409, "/problems/invite-closed")
        if (one.status, one.outcome) != expected:
            yield f"{count} who {one.action} were told {one.status} {one.outcome}, and it is {status}"


MIXED = [action for action, _ in zip(["accept", "decline", "revoke"] * AT_ONCE, range(AT_ONCE), strict=False)]


async def test_fifty_at_once_have_one_winner(people: Party, invites: Invitations) -> None:
    for _ in range(ROUNDS):
        assert await race(people, invites, MIXED) == []


async def test_so_have_fifty_and_the_worker(people: Party, invites: Invitations) -> None:
    for _ in range(ROUNDS):
        assert await race(people, invites, MIXED, expiry=True) == []


async def test_one_yes_fifty_times_makes_one_contact(people: Party, invites: Invitations) -> None:
    assert await race(people, invites, ["accept"] * AT_ONCE) == []


async def test_all_at_once_against_each_taken_back(people: Party, invites: Invitations) -> None:
    """Five devices say yes to everything while fifty are being revoked, and some expire."""
    ana, ben = people.ids["ana"], people.ids["ben"]
    made = [await invites.one(ana, ben, channel_id=str(uuid4())) for _ in range(AT_ONCE)]
    worker = Instance(invites.database)
    worker.time = now() + timedelta(days=2)
    async with clients(people) as asking:
        revoking = [attempt(asking, one, "revoke") for one in random.sample(made, len(made))]
        declining = [asking["ben"].post("/api/invites/decline-all") for _ in range(5)]
        told, answers, _ = await asyncio.gather(
            asyncio.gather(*revoking), asyncio.gather(*declining), worker.expiry.round()
        )
    assert {answer.status_code for answer in answers} == {200}
    assert {one.status for one in told} <= {200, 409}
    ends = await invites.ends(made)
    assert all(len(one) == 1 for one in ends.values())
    counts = Counter(one[0] for one in ends.values())
    assert sum(one.status == 200 for one in told) == counts["revoked"]
    declined = {r["invite_id"] for answer in answers for r in answer.json()["results"] if r["status"] == "declined"}
    assert declined == {one for one, end in ends.items() if end == ["declined"]}


@pytest.mark.long
async def test_the_same_check_finds_who_decides_without_a_lock(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    with running_server(dsn, tmp_path, variant="answers_without_locks") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        async with invitations(dsn) as invites:
            with host.http, party(host, "ana", "ben") as people:
                found = [fault for _ in range(ROUNDS) for fault in await race(people, invites, MIXED)]
    assert found
