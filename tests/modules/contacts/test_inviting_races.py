"""Quotas and locks of inviting, each with what breaks it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from modules.contacts.domain.quotas import MAX_TO_ONE
from modules.contacts.store import facts, pairs, usage
from tests.modules.contacts.guests import told
from tests.modules.contacts.house import NAMES, House, Housing, to

RACERS = 50
AT_ONCE = 8
A_MOMENT_S = 0.1


# spam


async def test_quotas_of_a_day_are_named_and_end_at_midnight(housing: Housing) -> None:
    house = await housing(invites_per_sender_per_day=3, invites_per_recipient_per_day=2, invites_per_day=6)
    results = (await house.ask("p000", {"invites": [to(name) for name in NAMES[1:6]]}, "/bulk")).json()["results"]
    assert [one["status"] for one in results] == ["created"] * 3 + ["error"] * 2
    own = await house.ask("p000", to("p009"))
    assert told([own]) == {"too-many-requests": 1}
    assert "3 invitations a day" in own.json()["detail"]
    midnight = 86_400 - (datetime.now(UTC) - datetime.now(UTC).replace(hour=0, minute=0, second=0)).total_seconds()
    assert abs(int(own.headers["retry-after"]) - midnight) < 30
    assert (await house.ask("p001", to("p000"))).status_code == 200, "an answer is no invitation"
    assert (await house.ask("p010", to("p001"))).status_code == 201
    theirs = await house.ask("p011", to("p001"))
    assert theirs.json()["detail"] == "This person has received too many invitations today: at most 2 a day (UTC)"
    assert [(await house.ask("p012", to(name))).status_code for name in ("p013", "p014", "p015")] == [201, 201, 429]
    assert "6 invitations a day (UTC) on this server" in (await house.ask("p020", to("p021"))).json()["detail"]
    await house.run("UPDATE contact_usage SET since = since - interval '1 day'")
    assert (await house.ask("p000", to("p009"))).status_code == 201


async def test_one_alone_neither_pesters_somebody_nor_uses_up_their_day(housing: Housing) -> None:
    house = await housing()
    for turn in range(MAX_TO_ONE):
        made = await house.ask("p000", to("p001"))
        assert made.status_code == 201, turn
        await house.run("UPDATE contact_invites SET status = 'revoked' WHERE id::text = $1", made.json()["id"])
    over = await house.ask("p000", to("p001"))
    assert told([over]) == {"too-many-requests": 1}
    assert over.json()["detail"] == "At most 10 invitations a day (UTC) by one person to one other"
    for one, other in (("p000", "p002"), ("p003", "p001")):
        assert (await house.ask(one, to(other))).status_code == 201


async def test_without_caps_nothing_is_counted(housing: Housing) -> None:
    house = await housing(invites_per_sender_per_day=0, invites_per_recipient_per_day=0, invites_per_day=0)
    results = (await house.ask("p000", {"invites": [to(name) for name in NAMES[1:101]]}, "/bulk")).json()["results"]
    assert {one["status"] for one in results} == {"created"}
    assert await house.run("SELECT scope FROM contact_usage WHERE scope LIKE 'invites.%'") == []


async def invited(house: House) -> int:
    """Have one person invite fifty at once, with a quota of ten; return how many were."""
    await house.race([("p000", to("nobody"))])
    answers = await house.race([("p000", to(name)) for name in NAMES[1 : RACERS + 1]])
    assert told(answers).keys() <= {"201", "too-many-requests"}
    return told(answers)["201"]


async def test_a_quota_is_not_exceeded_by_fifty_at_once(housing: Housing) -> None:
    house = await housing(invites_per_sender_per_day=10)
    assert await invited(house) == 10
    assert await house.run("SELECT count FROM contact_usage WHERE scope = 'invites.sender'") == [(10,)]


async def test_it_is_when_counts_are_read_without_holding_them(
    housing: Housing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant."""
    add = usage.add

    async def reading(connection: Any, counts: Mapping[Any, int]) -> Any:
        return await (add(connection, counts) if any(counts.values()) else usage.read(connection, counts))

    monkeypatch.setattr(usage, "add", reading)
    assert await invited(await housing(invites_per_sender_per_day=10)) > 10


class Meanwhile:
    """Time between what is read under the locks and what is written, in which something else is begun."""

    def __init__(self, begin: Callable[[str], Awaitable[None]]) -> None:
        self._begin = begin
        self._about = facts.about
        self._looks: Counter[str] = Counter()
        self._tasks: list[Any] = []

    async def about(self, connection: Any, user_id: str, wishes: Any) -> Any:
        """Read as it is read; the second look is the one in the transaction."""
        found = await self._about(connection, user_id, wishes)
        self._looks[user_id] += 1
        if self._looks[user_id] == 2:
            self._tasks.append(asyncio.ensure_future(self._begin(user_id)))
            await asyncio.sleep(A_MOMENT_S)
        return found

    async def over(self) -> None:
        """Wait for all that was begun."""
        await asyncio.gather(*self._tasks)


async def blocked_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Have a person block others while these invite them; return how many were made, and how many still wait."""

    async def block(name: str) -> None:
        async with house.parley.database.transaction() as tx:
            await pairs.lock(tx.connection, [("p000", name)])
            await tx.connection.execute("INSERT INTO contact_blocks VALUES ('p000', $1)", name)
            ended = "UPDATE contact_invites SET status = 'revoked' WHERE invitor_id = $1 AND status = 'pending'"
            await tx.connection.execute(ended, name)

    meanwhile = Meanwhile(block)
    monkeypatch.setattr(facts, "about", meanwhile.about)
    await house.race([(name, to("p000")) for name in NAMES[1 : AT_ONCE + 1]])
    await meanwhile.over()
    counts = await house.run("SELECT count(*), count(*) FILTER (WHERE status = 'pending') FROM contact_invites")
    return counts[0][0], counts[0][1]


async def test_no_invitation_outlives_a_block_at_the_same_time(
    housing: Housing, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await housing(size=2 * AT_ONCE)
    assert await blocked_meanwhile(house, monkeypatch) == (AT_ONCE, 0)


async def test_some_do_without_the_lock_of_pairs(housing: Housing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant."""
    house = await housing(size=2 * AT_ONCE)
    monkeypatch.setattr(pairs, "lock", nothing)
    _, waiting = await blocked_meanwhile(house, monkeypatch)
    assert waiting > 0


async def test_who_invite_each_other_at_once_are_told_of_errors_without_it(
    housing: Housing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant of the races over HTTP: two are no contacts, and one is told of what the index refuses."""
    house = await housing()
    monkeypatch.setattr(pairs, "lock", nothing)
    monkeypatch.setattr(facts, "about", Meanwhile(nothing).about)
    answers = await house.race([("p000", to("p001")), ("p001", to("p000"))])
    assert sorted(answer.status_code for answer in answers) == [201, 500]


async def nothing(*_: Any) -> None:
    """Do nothing."""
