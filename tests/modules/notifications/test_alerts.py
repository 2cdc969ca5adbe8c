"""Alerts: one open row a person and channel, stretched, never overlapping, however events arrive."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kernel.database import Database
from modules.identity.events import UserDeactivated
from modules.notifications.domain.alerts import DueAlert, Heard, merge
from modules.notifications.store import alerts
from tests.modules.notifications.conftest import NOON, Clock, House
from tests.modules.notifications.world import Person, World, message

ANA, BO, CY = Person("ana"), Person("bo", phone="+4915112345679"), Person("cy", phone="+4915112345670")


async def test_messages_stretch_one_alert_and_keep_its_first_delay(house: House, world: World, clock: Clock) -> None:
    channel = uuid4()
    world.join(channel, ANA, BO)
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(seconds=100)
    await house.publish(*(world.say(channel, "ana", occurred_at=clock.time) for _ in range(3)))
    assert await house.alert("bo", channel) == (0, 4, 4)
    assert await house.decide() == []
    clock.forward(seconds=20)
    [delivery] = await house.decide()
    assert (delivery.user_id, delivery.from_seq, delivery.to_seq, delivery.message_count) == ("bo", 1, 4, 4)
    assert await house.alert("bo", channel) == (4, None, 0)


async def test_a_batch_is_merged_for_each_person_and_channel(house: House, world: World, clock: Clock) -> None:
    one, other = uuid4(), uuid4()
    for channel in (one, other):
        world.join(channel, ANA, BO, CY)
    events = [world.say(one, "ana"), world.say(one, "bo"), world.say(other, "cy"), world.say(one, "ana")]
    random.Random(1).shuffle(events)
    await house.publish(*events)
    assert await house.alert("ana", one) == (0, 2, 1)
    assert await house.alert("bo", one) == (0, 3, 2)
    assert await house.alert("cy", one) == (0, 3, 3)
    assert await house.alert("ana", other) == (0, 1, 1)


async def test_an_event_that_comes_late_was_covered_already(house: House, world: World, clock: Clock) -> None:
    """Seq 8 is alerted before the event of 7 is heard: 7 was in the log, so the alert was about both."""
    channel = uuid4()
    world.join(channel, ANA, BO)
    events = [world.say(channel, "ana", occurred_at=clock.time) for _ in range(8)]
    await house.publish(events[7])
    clock.forward(minutes=3)
    [first] = await house.decide()
    assert (first.from_seq, first.to_seq, first.message_count) == (1, 8, 8)
    await house.publish(events[6])
    assert await house.alert("bo", channel) == (8, None, 0)
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    _, second = await house.decide()
    assert (second.from_seq, second.to_seq, second.message_count) == (9, 9, 1)


async def test_an_event_heard_twice_changes_nothing(house: House, world: World, clock: Clock) -> None:
    channel = uuid4()
    world.join(channel, ANA, BO)
    event = world.say(channel, "ana", occurred_at=clock.time)
    await house.publish(event, event)
    await house.publish(event)
    assert await house.alert("bo", channel) == (0, 1, 1)
    clock.forward(minutes=3)
    await house.decide()
    await house.publish(event)
    clock.forward(minutes=3)
    assert len(await house.decide()) == 1


async def test_what_is_heard_while_deciding_begins_another_alert(
    house: House, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = uuid4()
    world.join(channel, ANA, BO)
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    states = world.states

    async def slowly(spans: Any) -> Any:
        await house.publish(world.say(channel, "ana", occurred_at=clock.time))
        return await states(spans)

    with monkeypatch.context() as patched:
        patched.setattr(world, "states", slowly)
        [delivery] = await house.decide()
    assert (delivery.from_seq, delivery.to_seq) == (1, 1)
    assert await house.alert("bo", channel) == (1, 2, 1)
    clock.forward(seconds=60)
    assert len(await house.decide()) == 1, "the new alert has its own delay"
    clock.forward(seconds=61)
    assert [(d.from_seq, d.to_seq) for d in await house.decide()] == [(1, 1), (2, 2)]


async def test_whoever_is_deactivated_gets_a_last_row_and_no_sms(house: House, world: World, clock: Clock) -> None:
    channel = uuid4()
    world.join(channel, ANA, BO)
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    world.people["bo"].active = False
    await house.publish(UserDeactivated(user_id="bo"))
    [delivery] = await house.decide()
    assert (delivery.state, delivery.reason) == ("suppressed", "deactivated")
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    assert [d.reason for d in await house.decide()] == ["deactivated", "deactivated"]


@pytest.mark.parametrize(("alerted_to", "to_seq"), [(4, 5), (8, 12), (0, 9), (0, 12), (0, 3), (10, 12)])
async def test_the_database_refuses_overlaps_and_gaps(
    house: House, world: World, clock: Clock, alerted_to: int, to_seq: int
) -> None:
    """What keeps ranges apart even if the code above forgot where it was: here 1..9 is followed by another than 10."""
    channel = uuid4()
    world.join(channel, ANA, BO)
    await house.publish(*(world.say(channel, "ana", occurred_at=clock.time) for _ in range(9)))
    clock.forward(minutes=3)
    await house.decide()
    async with house.database.transaction() as tx:
        await tx.connection.execute(
            "UPDATE notification_alerts SET alerted_to = $1, to_seq = $2, begun_at = $3, due_at = $3",
            alerted_to,
            to_seq,
            clock(),
        )
    with pytest.raises((asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError)):
        await house.decide()


async def test_ranges_of_others_are_no_overlap(house: House, world: World, clock: Clock) -> None:
    one, other = uuid4(), uuid4()
    for channel in (one, other):
        world.join(channel, ANA, BO, Person("bo2", phone="+4915112345671"))
        await house.publish(*(world.say(channel, "ana", occurred_at=clock.time) for _ in range(12)))
    clock.forward(minutes=3)
    assert len(await house.decide()) == 4


LAST = 12
AT_ONCE = alerts.Delays({"sms": 0})
SEQS = st.lists(st.integers(1, LAST), min_size=1, max_size=4)
STEPS = st.lists(st.one_of(SEQS, st.sampled_from(["take", "conclude", "lease runs out"])), max_size=30)


async def covered(database: Database, steps: Sequence[list[int] | str]) -> list[int]:
    """Play events (batches of seqs) and workers that take alerts and conclude them, or are too slow to.

    Returns the seqs that alerts were about, in the order they were concluded.
    """
    channel, now = uuid4(), NOON
    held: list[tuple[list[DueAlert], datetime]] = []
    alerted: list[int] = []
    everything = [[seq] for seq in range(1, LAST + 1)]
    for step in [*steps, "lease runs out", *everything, "take", "conclude"]:
        async with database.transaction() as tx:
            if step == "lease runs out":
                now += timedelta(minutes=1)
            elif step == "take":
                now += timedelta(seconds=1)
                hidden = now + timedelta(seconds=30)
                held.append((await alerts.take_due(tx.connection, now, hidden, 10), hidden))
            elif step == "conclude" and held:
                taken, hidden = held.pop()
                ours = await alerts.still_held(tx.connection, taken, hidden)
                await alerts.close(tx.connection, ours, now, AT_ONCE)
                alerted += [seq for one in ours for seq in range(one.span.from_seq, one.span.to_seq + 1)]
            elif isinstance(step, list):
                heard = [Heard("bo", channel, max(step), len(step), now)]
                await alerts.hear(tx.connection, heard, AT_ONCE)
    return alerted


def test_ranges_never_overlap_and_leave_nothing_out(shared_dsn: str) -> None:
    """In whatever order events come, however often, and whoever of the workers is slow."""
    with asyncio.Runner() as runner:
        database = runner.run(Database.connect(shared_dsn, size=2))

        @examples(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(steps=STEPS)
        def holds(steps: list[list[int] | str]) -> None:
            assert runner.run(covered(database, steps)) == list(range(1, LAST + 1))

        try:
            holds()
        finally:
            runner.run(database.close())


async def test_the_property_catches_an_upsert_that_forgets_where_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "CLOSE", alerts.CLOSE.replace("alerted_to = done.to_seq", "alerted_to = 0"))
    assert await covered(database, [[3], "take", "conclude"]) != list(range(1, LAST + 1))


@given(st.permutations(range(1, 8)))
def test_merging_doesnt_depend_on_the_order(order: list[int]) -> None:
    channel = uuid4()
    events = [
        message(channel, seq, "ana" if seq % 2 else "bo", ["bo"] if seq % 2 else ["ana"], occurred_at=NOON)
        for seq in order
    ]
    assert sorted(merge(events), key=lambda heard: heard.user_id) == [
        Heard("ana", channel, 6, 3, NOON),
        Heard("bo", channel, 7, 4, NOON),
    ]
