"""What falls due by itself: expiry, reminders and forgetting, in batches, by any number of instances."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from kernel.database import Database
from modules.contacts import sweeping
from modules.contacts.domain.invites import REMIND_EVERY
from modules.contacts.metrics import INVITES_FALLEN_DUE
from modules.contacts.store import due as queries
from modules.contacts.sweeping import BATCH
from tests.modules.messaging.test_plans import read_by
from tests.support.invitations import Invitations
from tests.support.statements import statements
from tests.support.sweeping import DAY, T0, Instance, due, faults, statuses, told

MANY = 120


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 50)


@pytest.mark.usefixtures("small_batches")
async def test_what_is_over_expires_and_nothing_else(database: Database) -> None:
    one = Instance(database)
    await due(database, MANY)
    await Invitations(database).one("ben", "cleo", created_at=T0, expires_at=T0 + 2 * DAY)
    one.time = T0 + DAY - timedelta(microseconds=1)
    await one.finish(one.expiry)
    assert await statuses(database) == {"pending": MANY + 1}
    one.time = T0 + DAY
    counted = INVITES_FALLEN_DUE.labels("expired")._value.get()
    await one.finish(one.expiry)
    assert await statuses(database) == {"expired": MANY, "pending": 1}
    assert await faults(database) == []
    assert INVITES_FALLEN_DUE.labels("expired")._value.get() == counted + MANY
    event = (await told(database))[0]
    assert event["type"] == "contacts.invite.expired"
    assert event["invite"]["status"] == "expired"
    assert event["invite"]["invitor"]["display_name"] == "Ana"
    assert await Invitations(database).fetch("SELECT DISTINCT by, at FROM contact_invite_history WHERE by IS NULL") == [
        (None, T0 + DAY)
    ]


@pytest.mark.usefixtures("small_batches")
async def test_several_instances_share_the_work(database: Database) -> None:
    instances = [Instance(database) for _ in range(4)]
    await due(database, MANY)
    for one in instances:
        one.time = T0 + DAY
    await asyncio.gather(*(one.finish(one.expiry) for one in instances))
    await instances[0].finish(instances[0].expiry)
    assert await statuses(database) == {"expired": MANY}
    assert await faults(database) == []


async def reminded_by_four(database: Database) -> list[int]:
    """Let four instances find the same, and remind of it at once; returns what was told."""
    instances = [Instance(database) for _ in range(4)]
    await due(database, MANY, remind_at=T0)
    async with database.connection() as connection:
        found = await queries.find(connection, "reminded", T0, MANY)
    await asyncio.gather(*(one.reminders._sweep(found, T0) for one in instances))
    return [event["reminders"] for event in await told(database)]


async def test_what_several_find_at_once_is_done_once(database: Database) -> None:
    assert await reminded_by_four(database) == [1] * MANY


async def test_the_same_check_finds_who_does_not_look_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: what was found is taken for due, whatever others have done since."""

    async def all_of_them(_connection: Any, _what: Any, invite_ids: Any, _now: Any) -> Any:
        return invite_ids

    monkeypatch.setattr(queries, "lock", all_of_them)
    assert 2 in await reminded_by_four(database)


async def test_what_somebody_holds_is_skipped_and_looked_at_again(database: Database) -> None:
    one = Instance(database)
    await due(database, 3)
    one.time = T0 + DAY
    async with database.transaction() as tx:
        await tx.connection.fetch("SELECT FROM contact_invites WHERE invitee_id = 'user-1' FOR NO KEY UPDATE")
        async with asyncio.timeout(10):
            await one.finish(one.expiry)
        assert await statuses(database) == {"expired": 2, "pending": 1}
    await one.finish(one.expiry)
    assert await statuses(database) == {"expired": 3}


async def test_others_wait_for_a_batch_only_as_long_as_it_takes(database: Database) -> None:
    """While a batch is written, what isn't in it can be answered."""
    one = Instance(database)
    await due(database, 3)
    await Invitations(database).one("ben", "cleo", created_at=T0, expires_at=T0 + 2 * DAY)
    one.time = T0 + DAY
    async with database.transaction() as tx:
        assert (
            len(await queries.lock(tx.connection, "expired", [i.id for i in await everything(database)], one.time)) == 3
        )
        async with database.connection() as other:
            assert await other.fetch("SELECT FROM contact_invites WHERE invitee_id = 'cleo' FOR UPDATE NOWAIT")


async def everything(database: Database) -> list[Any]:
    async with database.connection() as connection:
        return await queries.find(connection, "expired", T0 + 9 * DAY, BATCH)


async def test_people_are_reminded_once_before_it_is_too_late(database: Database) -> None:
    one = Instance(database)
    await due(database, 3, remind_at=T0 + DAY / 2)
    await one.finish(one.reminders)
    assert await told(database) == []
    one.time = T0 + DAY / 2
    for _ in range(2):
        await one.finish(one.reminders)
    events = await told(database)
    assert [(event["type"], event["reminders"]) for event in events] == [("contacts.invite.reminded", 1)] * 3
    assert await statuses(database) == {"pending": 3}
    rows = await Invitations(database).fetch("SELECT DISTINCT reminders, reminded_at, remind_at FROM contact_invites")
    assert rows == [(1, one.time, None)]


async def test_nobody_is_reminded_of_what_is_over(database: Database) -> None:
    """Nobody was at work in between."""
    one = Instance(database)
    await due(database, 3, remind_at=T0 + DAY / 2)
    one.time = T0 + 2 * DAY
    await one.finish(one.reminders)
    assert await told(database) == []
    await one.finish(one.expiry)
    await one.finish(one.reminders)
    assert {event["type"] for event in await told(database)} == {"contacts.invite.expired"}


@pytest.mark.parametrize(("before", "still"), [(REMIND_EVERY, True), (REMIND_EVERY - timedelta(seconds=1), False)])
async def test_who_was_just_reminded_is_not_reminded_again(
    database: Database, before: timedelta, *, still: bool
) -> None:
    remind_at = T0 + 3 * DAY
    await due(database, 1, expires_at=T0 + 4 * DAY, remind_at=remind_at)
    one = Instance(database)
    [invite] = await everything(database)
    async with database.transaction() as tx:
        names = await one.reminders._people.find(invite.pair)
        await one.reminders._lifecycle.remind(tx, [invite.id], names, now=remind_at - before)
    one.time = remind_at
    await one.finish(one.reminders)
    assert [event["reminders"] for event in await told(database)] == ([1, 2] if still else [1])


@pytest.mark.usefixtures("small_batches")
async def test_counts_whose_window_is_over_are_forgotten(database: Database) -> None:
    one = Instance(database)
    async with database.transaction() as tx:
        await tx.connection.execute(
            "INSERT INTO contact_usage SELECT 'sender', i::text::bytea, $1, 1 FROM generate_series(1, 120) i", T0
        )
        await tx.connection.execute("INSERT INTO contact_usage VALUES ('sender', 'x', $1, 1)", T0 + timedelta(hours=1))
    one.time = T0 + DAY - timedelta(seconds=1)
    await one.finish(one.forgetting)
    count = "SELECT count(*) FROM contact_usage"
    assert await Invitations(database).fetch(count) == [(121,)]
    one.time += sweeping.CLEAN_EVERY
    await one.finish(one.forgetting)
    assert await Invitations(database).fetch(count) == [(1,)]


async def test_a_batch_costs_the_same_however_full_it_is(dsn: str) -> None:
    costs = []
    async with statements(dsn) as (database, noted):
        one = Instance(database)
        for day, count in ((1, 1), (2, 2), (3, 80)):
            await due(database, count, expires_at=T0 + day * DAY)
            one.time = T0 + day * DAY
            noted.clear()
            await one.finish(one.expiry)
            costs.append(len(noted))
    assert costs[1] == costs[2] <= 7, "after the first, which learns the types"


FILL = """
ALTER TABLE contact_invites SET (autovacuum_enabled = off);
ALTER TABLE contact_usage SET (autovacuum_enabled = off);
INSERT INTO contact_invites (id, kind, status, invitor_id, invitee_id, created_at, expires_at, responded_at, remind_at)
SELECT gen_random_uuid(), 'contact', CASE WHEN i % 20 = 0 THEN 'pending' ELSE 'accepted' END, 'user-' || i, 'ana',
    now() - interval '9 days', now() - interval '1 day' + i * interval '1 minute',
    CASE WHEN i % 20 > 0 THEN now() END,
    CASE WHEN i % 20 = 0 THEN now() - interval '2 days' + i * interval '1 minute' END
FROM generate_series(1, 8000) i;
INSERT INTO contact_usage
SELECT 'miss', i::text::bytea, now() - i * interval '1 minute', 1 FROM generate_series(1, 4000) i
"""
DUE_AT_MOST = 100
"""Of 400 that are pending, among 8,000."""
NOW = "SELECT now() - interval '20 hours'"


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("what", ["expired", "reminded", "usage"])
async def test_what_is_due_is_looked_up(dsn: str, what: Any, mode: str) -> None:
    """Also before the first ANALYZE, and however much there is that isn't due."""
    if what == "usage":
        statement = queries.REMOVE_USAGE
    else:
        shape = {"columns": "id", "is_due": queries.IS_DUE[what], "order": queries.ORDER[what]}
        statement = queries.FIND.format(**shape)
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    try:
        await connection.execute(FILL)
        moment = await connection.fetchval(NOW)
        explained = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, moment, 10)
    finally:
        await connection.close()
    assert max(read_by(json.loads(explained)[0]["Plan"])) <= DUE_AT_MOST
