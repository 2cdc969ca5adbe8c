"""Defends: a bulk of 100 invitations and a check of 1,000 contacts are one request's work, and 100,000 invitations that
expire at once hold nobody up.

The real server over HTTP, one request after the other on one connection. Expiry: invitations are made by hand, long
overdue; while the server's worker closes them, somebody goes on inviting, and afterwards as many times more.
"""

import asyncio
import http.client
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from http import HTTPStatus
from itertools import count
from time import perf_counter
from typing import Any

from benchmarks.host import Host
from benchmarks.load.stats import milliseconds, percentile
from benchmarks.report import Row, compared, limited, plain
from benchmarks.servers import Server
from kernel.database import Database

PART = "Contacts"
BULK = 100
BULKS = 10
"""In each round, each by somebody else."""
CHECKED = 1_000
CHECKS = 50
AT_MOST_MS = 250.0
CHECK_AT_MOST_MS = 50.0
OVERDUE = 100_000
INVITORS = 1_000

FILL_PEOPLE = """
INSERT INTO identity_users (user_id, username, display_name)
SELECT $1 || n, $1 || n, 'Person ' || n FROM generate_series(1, $2::int) AS n ON CONFLICT DO NOTHING
"""
FILL_PAIRS = """
INSERT INTO contact_pairs (low_id, high_id)
SELECT least(id, $1 COLLATE "C"), greatest(id, $1 COLLATE "C")
FROM generate_series(1, $2::int) AS n, LATERAL (SELECT ('checked-' || n) COLLATE "C" AS id) i WHERE n % 2 = 0
"""
FILL_OVERDUE = """
WITH made AS (
    INSERT INTO contact_invites (id, kind, invitor_id, invitee_id, created_at, expires_at)
    SELECT gen_random_uuid(), 'contact', 'expiring-' || 1 + n % $2, 'invited-' || n, now() - interval '15 days',
        now() - interval '1 day' FROM generate_series(1, $1::int) AS n
    RETURNING id, invitor_id, created_at
)
INSERT INTO contact_invite_history (invite_id, status, at, by) SELECT id, 'pending', created_at, invitor_id FROM made
"""
OPEN = "SELECT count(*) FROM contact_invites WHERE status = 'pending' AND expires_at < now()"


class Caller:
    """Asks, over one connection."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def ask(self, token: str, method: str, path: str, body: Any = None) -> tuple[Any, float]:
        """Return what is answered, and how long that took, in seconds.

        Raises:
            RuntimeError: it was refused.
        """
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        began = perf_counter()
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        answer = response.read()
        took = perf_counter() - began
        if response.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            raise RuntimeError(f"{method} {path[:100]}: {response.status} {answer[:500].decode(errors='replace')}")
        return json.loads(answer), took

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


async def measure(server: Server, host: Host, database: Database, *, rounds: int) -> list[Row]:
    """Return rows for bulks and checks."""
    async with database.transaction() as tx:
        await tx.connection.execute(FILL_PEOPLE, "bulk-invitee-", BULK)
        await tx.connection.execute(FILL_PEOPLE, "checked-", CHECKED)
        await tx.connection.execute(FILL_PAIRS, "checker", CHECKED)
    invitors = host.people([f"bulk-{number}" for number in range(BULKS * rounds)])
    checker = host.people(["checker"])["checker"]
    tokens = iter(invitors.values())
    with closing(Caller(server)) as caller:
        bulks = [[_bulk(caller, next(tokens)) for _ in range(BULKS)] for _ in range(rounds)]
        checks = [[_check(caller, checker) for _ in range(CHECKS)] for _ in range(rounds)]
    return [
        *_rows(f"bulk of {BULK} invitations", bulks, AT_MOST_MS),
        *_rows(f"check of {CHECKED:,} contacts", checks, CHECK_AT_MOST_MS),
    ]


async def expiry(server: Server, host: Host, database: Database, *, rounds: int) -> list[Row]:
    """Return how fast overdue invitations expire, and what somebody who invites meanwhile notices."""
    async with database.transaction() as tx:
        await tx.connection.execute(FILL_PEOPLE, "expiring-", INVITORS)
        await tx.connection.execute(FILL_PEOPLE, "invited-", OVERDUE)
    invitors = host.people([f"meanwhile-{number}" for number in range(INVITORS)])
    per_s: list[float] = []
    meanwhile: list[list[float]] = []
    calm: list[list[float]] = []
    with closing(Caller(server)) as caller:
        invite = _inviting(caller, invitors)
        for _ in range(rounds):
            took, busy = await _expire(database, invite)
            per_s.append(OVERDUE / took)
            meanwhile.append(busy)
            calm.append([await asyncio.to_thread(invite) for _ in busy])
    p99s, calm_p99s = ([percentile(one, 99) * 1000 for one in half] for half in (meanwhile, calm))
    also = {"p50": milliseconds(percentile(meanwhile[0], 50)), "p50, later": milliseconds(percentile(calm[0], 50))}
    return [
        plain(PART, f"expiry of {OVERDUE:,} invitations", per_s, unit="invitations/s"),
        compared(
            PART, "inviting meanwhile, p99", p99s, calm_p99s, unit="ms", against="ms, with nothing to expire", also=also
        ),
    ]


async def _expire(database: Database, invite: Callable[[], float]) -> tuple[float, list[float]]:
    """Let invitations be overdue; returns how long they took to expire, and how long inviting took meanwhile."""
    async with database.transaction() as tx:
        await tx.connection.execute(FILL_OVERDUE, OVERDUE, INVITORS, timeout=300)
    began, taken = perf_counter(), []
    while await _open(database):
        taken.append(await asyncio.to_thread(invite))
        await asyncio.sleep(0.01)
    return perf_counter() - began, taken


async def _open(database: Database) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval(OPEN))


def _inviting(caller: Caller, invitors: dict[str, str]) -> Callable[[], float]:
    """Return what invites somebody else each time."""
    people = list(invitors)
    turns = count()

    def invite() -> float:
        turn = next(turns)
        one, other = turn % len(people), (turn // len(people) + 1 + turn) % len(people)
        return caller.ask(invitors[people[one]], "POST", "/api/invites", {"user_id": people[other]})[1]

    return invite


def _bulk(caller: Caller, token: str) -> float:
    body = {"invites": [{"user_id": f"bulk-invitee-{number}"} for number in range(1, BULK + 1)]}
    answer, took = caller.ask(token, "POST", "/api/invites/bulk", body)
    if {result["status"] for result in answer["results"]} != {"created"}:
        raise RuntimeError(f"not all were invited: {answer['results'][0]}")
    return took


def _check(caller: Caller, token: str) -> float:
    ids = ",".join(f"checked-{number}" for number in range(1, CHECKED + 1))
    answer, took = caller.ask(token, "GET", f"/api/contacts/check?user_ids={ids}")
    if sum(answer.values()) != CHECKED // 2:
        raise RuntimeError(f"{sum(answer.values())} contacts were found")
    return took


def _rows(what: str, rounds: Sequence[Sequence[float]], at_most: float) -> list[Row]:
    p50s, p99s = ([percentile(durations, percent) * 1000 for durations in rounds] for percent in (50, 99))
    return [
        plain(PART, f"{what}, p50", p50s, unit="ms"),
        limited(PART, f"{what}, p99", p99s, unit="ms", at_most=at_most),
    ]
