"""The ledger is kept for as long as is set, and what goes leaves nothing that could be alerted again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import asyncpg
import pytest

from kernel.database import Connection, Database
from kernel.settings import Settings
from modules.notifications import retention
from modules.notifications.domain.delivery import STATES
from modules.notifications.store import retention as queries
from tests.modules.notifications.conftest import Clock, House, a_house
from tests.modules.notifications.crowd import crowd, houses, write_and_wait
from tests.modules.notifications.world import World, message
from tests.support.twilio_server import TwilioServer

KEPT_DAYS = 30.0


@pytest.fixture
async def house(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> AsyncIterator[House]:
    more = {"deliveries_kept_days": KEPT_DAYS, "default_quiet_hours": "00:00-00:00"}
    async with a_house(database, settings, world, clock, twilio, **more) as house:
        yield house


async def trim(house: House) -> None:
    """Let everything go that is to go."""
    house.module.retention._next_at = None
    while await house.module.retention.round() == 0:
        pass


async def rows(house: House) -> list[tuple[object, ...]]:
    """What is left: range, state, and whether its chain begins there."""
    async with house.database.connection() as connection:
        found = await connection.fetch(
            "SELECT from_seq, to_seq, state, cut FROM notification_deliveries ORDER BY user_id, from_seq"
        )
    return [tuple(row) for row in found]


async def test_old_ones_go_and_the_newest_of_each_chain_stays(
    house: House, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    [channel] = crowd(world, 1)
    for _ in range(4):
        await write_and_wait(house, world, clock, channel)
        await house.send()
        clock.forward(days=10)
    clock.forward(days=5)
    await trim(house)
    assert await rows(house) == [(3, 3, "accepted", True), (4, 4, "accepted", False)]
    clock.forward(days=400)
    await trim(house)
    assert await rows(house) == [(4, 4, "accepted", True)]

    await house.publish(*(message(channel, seq, "ana", ["user-0"], occurred_at=clock.time) for seq in (1, 2, 3, 4)))
    clock.forward(minutes=3)
    await house.decide()
    assert len(await rows(house)) == 1, "what was alerted isn't again, though the row is gone"
    await write_and_wait(house, world, clock, channel)
    await house.send()
    assert await rows(house) == [(4, 4, "accepted", True), (5, 5, "accepted", False)]
    assert len(twilio.sent) == 5


async def test_nothing_goes_before_its_time(house: House, world: World, clock: Clock) -> None:
    [channel] = crowd(world, 1)
    for _ in range(3):
        await write_and_wait(house, world, clock, channel)
        await house.send()
    clock.forward(days=KEPT_DAYS - 1)
    await trim(house)
    assert len(await rows(house)) == 3


@pytest.mark.parametrize("state", STATES)
async def test_what_is_under_way_or_in_doubt_stays_however_old(
    house: House, world: World, clock: Clock, state: str
) -> None:
    [channel] = crowd(world, 1)
    for _ in range(3):
        await write_and_wait(house, world, clock, channel)
        await house.send()
    leased = state in {"claimed", "sending"}
    async with house.database.transaction() as tx:
        await tx.connection.execute(
            "UPDATE notification_deliveries SET state = $1, claim_id = CASE WHEN $2 THEN id END,"
            " lease_until = CASE WHEN $2 THEN now() END WHERE from_seq = 2",
            state,
            leased,
        )
    clock.forward(days=400)
    await trim(house)
    stays = state in {"pending", "claimed", "sending", "unknown"}
    left = [(2, 2, state, True), (3, 3, "accepted", False)] if stays else [(3, 3, "accepted", True)]
    assert await rows(house) == left


async def test_the_database_still_refuses_what_doesnt_follow(house: House, world: World, clock: Clock) -> None:
    [channel] = crowd(world, 1)
    for _ in range(3):
        await write_and_wait(house, world, clock, channel)
        await house.send()
    clock.forward(days=400)
    await trim(house)
    [last] = await house.ledger()
    async with house.database.connection() as connection:
        for begin, end in ((3, 4), (5, 6), (3, 3)):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await insert(connection, last.user_id, channel, begin, end)
        await insert(connection, last.user_id, channel, 4, 6)


async def insert(connection: Connection, user_id: str, channel: UUID, begin: int, end: int) -> None:
    await connection.execute(
        "INSERT INTO notification_deliveries (id, user_id, transport, category, thread_id, from_seq, to_seq,"
        " message_count, state, due_at, created_at, updated_at)"
        " VALUES (gen_random_uuid(), $1, 'sms', 'messages', $2, $3, $4, 1, 'accepted', now(), now(), now())",
        user_id,
        channel,
        begin,
        end,
    )


async def test_it_goes_in_batches_and_instances_share_the_work(
    dsn: str,
    settings: Settings,
    world: World,
    clock: Clock,
    twilio: TwilioServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH", 7)
    more: dict[str, object] = {"deliveries_kept_days": KEPT_DAYS, "default_quiet_hours": "00:00-00:00"}
    async with houses(dsn, settings, world, clock, twilio, count=3, **more) as each:
        channels = crowd(world, 20)
        for _ in range(3):
            await write_and_wait(each[0], world, clock, *channels)
            await each[0].send()
        clock.forward(days=400)
        left = [len(await rows(each[0]))]
        while await each[0].module.retention.round() == 0:
            left.append(len(await rows(each[0])))
        assert all(before - after <= 7 for before, after in pairwise(left))
        await asyncio.gather(*map(trim, each))
        assert await rows(each[0]) == [(3, 3, "accepted", True)] * 20
        deliveries = await each[0].ledger()
        assert len({d.user_id for d in deliveries}) == 20


async def test_only_one_works_at_a_time(house: House, database: Database) -> None:
    async with database.transaction() as mine:
        assert await queries.alone(mine.connection)
        async with database.transaction() as theirs:
            assert not await queries.alone(theirs.connection)


async def test_answers_and_counts_go_too(house: House, clock: Clock) -> None:
    async with house.database.transaction() as tx:
        for age in (1, 31):
            moment = clock.time - timedelta(days=age)
            await tx.connection.execute("INSERT INTO notification_answers VALUES ($1, $2)", f"SM{age}", moment)
            await tx.connection.execute("INSERT INTO notification_usage VALUES ('x', $1, 1)", moment)
    await trim(house)
    async with house.database.connection() as connection:
        assert await connection.fetchval("SELECT array_agg(provider_id) FROM notification_answers") == ["SM1"]
        assert await connection.fetchval("SELECT count(*) FROM notification_usage") == 1


async def test_without_the_mark_nothing_could_go(
    house: House, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: the row behind a removed one still refers to it, and the database objects."""
    [channel] = crowd(world, 1)
    for _ in range(2):
        await write_and_wait(house, world, clock, channel)
        await house.send()
    clock.forward(days=400)
    monkeypatch.setattr(queries, "CUT", queries.CUT.replace("SET cut = true", "SET cut = false"))
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await trim(house)
    assert len(await rows(house)) == 2


async def test_it_looks_once_an_hour(house: House, clock: Clock) -> None:
    assert await house.module.retention.round() > 0
    assert house.module.retention._next_at is not None
    assert house.module.retention._next_at - clock.time <= retention.EVERY
