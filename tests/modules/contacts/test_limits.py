"""Limits on guessing and on spam, which hold however many ask at once; and that misses can't be told apart.

The application runs in this process, on a real database, so that mechanisms can be taken out and statements be seen.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from asyncpg.connection import LoggedQuery
from litestar import Litestar

from app import Parley, create_app
from kernel.database import Database
from kernel.runtime_role import RUNTIME_ROLE
from kernel.settings import Settings
from modules.contacts.domain.quotas import network
from modules.contacts.service.limits import Charge, Misses
from modules.contacts.store import facts, pairs, usage
from modules.identity.schemas import UserEntry
from tests.modules.contacts.guests import at_once, told
from tests.support.servers import SECRET
from tests.support.tokens import token

RACERS = 50
NAMES = [f"p{number:03}" for number in range(120)]
BULK = 100
MISSES = 4
BY_ADDRESS = 10
A_MOMENT_S = 0.1
AT_ONCE = 8


class House:
    """The application, without its workers; everybody of `NAMES` is there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.parley = Parley(settings)
        self.app: Litestar = create_app(parley=self.parley)
        self.noted: list[str] = []

    async def open(self, dsn: str, size: int) -> None:
        """Open its database, noting every statement when there is one connection only."""
        await self.parley.database.open(dsn, size=size, role=RUNTIME_ROLE)
        people = [UserEntry(user_id=name, username=name, display_name=name.title()) for name in NAMES]
        for at in range(0, len(people), BULK):
            await self.parley.identity.people.put_all(people[at : at + BULK])
        if size == 1:
            async with self.parley.database.pool.acquire() as connection:
                connection.add_query_logger(self._note)

    def _note(self, query: LoggedQuery) -> None:
        self.noted.append(" ".join(query.query.split()))

    def client(self, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """Return a client that comes from an address."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1))  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://parley", timeout=30)

    async def ask(self, name: str, body: Any, path: str = "", address: str = "192.0.2.1") -> httpx.Response:
        """Have somebody invite from an address."""
        async with self.client(address) as client:
            return await client.post(f"/api/invites{path}", json=body, headers=bearer(name))

    async def race(self, asked: Sequence[tuple[str, Mapping[str, Any]]], path: str = "") -> list[httpx.Response]:
        """Have people invite at once."""
        async with self.client() as client:
            return await at_once(client, [(token(name), body) for name, body in asked], path)

    async def pin(self, name: str) -> str:
        """Return somebody's pin."""
        return (await self.parley.identity.people.me(name)).connect_pin

    async def run(self, statement: str, *arguments: object) -> list[Any]:
        """Ask the database."""
        async with self.parley.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]


def bearer(name: str) -> dict[str, str]:
    """Return somebody's headers."""
    return {"Authorization": f"Bearer {token(name)}"}


Housing = Callable[..., Any]


@pytest.fixture
async def housing(dsn: str, tmp_path: Path) -> AsyncIterator[Housing]:
    """Build houses; they are closed at the end."""
    built: list[Database] = []

    async def build(size: int = 10, **settings: Any) -> House:
        given = {"invite_misses_per_account_per_hour": MISSES, "invite_misses_per_address_per_hour": BY_ADDRESS}
        free = {"max_requests_per_s": 1e6}
        house = House(Settings(data_dir=tmp_path, database_url=dsn, jwt_secret=SECRET, **given | free | settings))
        await house.open(dsn, size)
        built.append(house.parley.database)
        return house

    yield build
    for database in built:
        await database.close()


def to(name: str) -> dict[str, Any]:
    """Return a body that invites somebody."""
    return {"user_id": name}


def misses(count: int) -> list[dict[str, Any]]:
    """Return bodies that lead to nobody."""
    return [{"user_id": f"nobody-{number}"} for number in range(count)]


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
