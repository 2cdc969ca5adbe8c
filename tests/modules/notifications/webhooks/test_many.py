"""Many events, many instances, bad addresses: bounded work, one probe, nothing sent inside."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from kernel.clock import now
from kernel.database import Database
from kernel.egress.client import Egress
from kernel.egress.policy import Policy
from kernel.errors import MalformedError
from kernel.settings import Settings
from modules.notifications.webhooks import worker as worker_module
from modules.notifications.webhooks.store import queue
from modules.notifications.webhooks.worker import ROOM
from tests.kernel.egress.conftest import Names
from tests.modules.notifications.conftest import Clock
from tests.modules.notifications.webhooks.conftest import Post, message, trusting
from tests.support.servers import free_port
from tests.support.statements import statements
from tests.support.webhook_receiver import WebhookReceiver, answer, dawdle, in_turn


async def statements_of_a_round(dsn: str, settings: Settings, receiver: WebhookReceiver, events: int) -> int:
    """Return how many statements it takes to hear of so many events, and then to take and write a round of them."""
    async with statements(dsn) as (database, noted):
        post = Post(database, settings, receiver, now)
        await post.subscribe()
        post.worker._tidy_at = float("inf")
        async with database.transaction() as tx:
            await post.bus.publish(tx, *(message(seq) for seq in range(events)))
        noted.clear()
        await post.hear()
        await post.round()
        count = len(noted)
        await post.part.stop()
        return count


async def test_a_flood_takes_no_more_statements_than_a_drop(
    dsn: str, settings: Settings, receiver: WebhookReceiver
) -> None:
    few = await statements_of_a_round(dsn, settings, receiver, ROOM)
    many = await statements_of_a_round(dsn, settings, receiver, 450)
    assert few == many
    assert few < 30, "of which a third begin or end a transaction"


async def test_a_flood_reaches_everybody(database: Database, settings: Settings, receiver: WebhookReceiver) -> None:
    post = Post(database, settings, receiver, now)
    for n in range(3):
        await post.subscribe(path=f"/{n}")
    async with post.running():
        for start in range(0, 1500, 300):
            async with database.transaction() as tx:
                await post.bus.publish(tx, *(message(seq) for seq in range(start, start + 300)))
        await receiver.until(lambda one: len(one.taken) >= 4500, within_s=60)
    for n in range(3):
        assert receiver.numbers(f"/{n}") == Counter(range(1500))
        assert receiver.most_at_once[f"/{n}"] <= ROOM


async def test_two_instances_share_the_work_and_post_each_event_once(
    database: Database, settings: Settings, receiver: WebhookReceiver
) -> None:
    receiver.answers["/hook"] = dawdle(0.1)
    one, other = Post(database, settings, receiver, now), Post(database, settings, receiver, now)
    await one.subscribe()
    async with one.running(), other.running():
        await one.publish(*(message(seq) for seq in range(300)))
        await receiver.until(lambda at: len(at.taken) >= 300)
        await asyncio.sleep(0.3)
    assert receiver.numbers() == Counter(range(300))
    assert ROOM < receiver.most_at_once["/hook"] <= 2 * ROOM


async def probes(database: Database, settings: Settings, receiver: WebhookReceiver) -> int:
    """Return how many requests at once two instances make to an endpoint that is known to fail."""
    receiver.answers["/hook"] = dawdle(0.2, status=500)
    one, other = Post(database, settings, receiver, now), Post(database, settings, receiver, now)
    webhook = await one.subscribe()
    await one.publish(*(message(seq) for seq in range(200)))
    await database.pool.execute("UPDATE notification_webhooks SET failures = 3")
    async with one.running(), other.running():
        await asyncio.sleep(4)
    assert (await one.now(webhook)).failures > 3
    return receiver.most_at_once["/hook"]


async def test_an_endpoint_that_fails_gets_one_request_at_a_time_from_all_instances(
    database: Database, settings: Settings, receiver: WebhookReceiver
) -> None:
    assert await probes(database, settings, receiver) == 1


async def test_the_same_check_finds_instances_that_do_not_put_it_aside(
    database: Database, settings: Settings, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant."""
    monkeypatch.setattr(queue, "CLAIM", queue.CLAIM.replace("THEN 1 ELSE", "THEN 4 ELSE"))
    assert await probes(database, settings, receiver) > 1


async def test_a_name_that_leads_inside_by_then_is_not_called(
    database: Database, settings: Settings, receiver: WebhookReceiver, clock: Clock
) -> None:
    """As with DNS rebinding: it was public when it was named."""
    names = Names()
    names.answers["hooks.example"] = [[("93.184.215.14", 443)], [("127.0.0.1", int(receiver.url.rpartition(":")[2]))]]
    egress = Egress(Policy(anywhere=True), timeout_s=2, resolver=names)
    post = Post(database, settings, receiver, clock, egress)
    await post.service.check("https://hooks.example/")
    webhook = await post.subscribe(url="https://hooks.example/")
    await post.publish(message(1))
    await post.round()
    (logged,) = await post.log(webhook)
    assert (logged.state, logged.reason) == ("pending", "not_allowed")
    with pytest.raises(MalformedError):
        await post.service.check("https://hooks.example/")
    assert (await post.service.test(webhook.id)).attempt.fault == "not_allowed"
    assert receiver.came == []
    await post.part.stop()


async def test_an_origin_that_is_no_longer_listed_is_not_called(
    database: Database, settings: Settings, receiver: WebhookReceiver, clock: Clock
) -> None:
    post = Post(database, settings, receiver, clock, trusting())
    webhook = await post.subscribe()
    await post.publish(message(1))
    await post.round()
    (logged,) = await post.log(webhook)
    assert logged.reason == "not_allowed"
    assert receiver.came == []
    await post.part.stop()


async def test_who_does_not_answer_or_listen_is_tried_again(
    database: Database, settings: Settings, receiver: WebhookReceiver, clock: Clock
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    post = Post(database, settings, receiver, clock, trusting(receiver.url, nobody))
    receiver.answers["/hook"] = in_turn(dawdle(6), answer(204))
    mute, absent = await post.subscribe(), await post.subscribe(url=nobody + "/")
    await post.publish(message(1))
    await post.round()
    assert [one.reason for one in await post.log(mute)] == ["timeout"]
    assert [one.reason for one in await post.log(absent)] == ["no_connection"]
    clock.forward(hours=1)
    await post.round()
    assert await post.states(mute) == ["delivered"]
    await post.part.stop()


async def test_what_a_dead_process_held_is_taken_up_and_shown(
    post: Post, receiver: WebhookReceiver, clock: Clock
) -> None:
    webhook = await post.subscribe()
    await post.publish(message(1))
    (held,) = await post.worker.take()
    assert await post.worker.take() == []
    clock.forward(seconds=worker_module.LEASE.total_seconds() + 1)
    await post.round()
    (logged,) = await post.log(webhook)
    assert logged.state == "delivered"
    assert [one["fault"] for one in logged.attempts] == ["worker_lost", None]
    assert held.id == logged.id


async def test_who_was_taken_for_dead_writes_nothing(post: Post, receiver: WebhookReceiver, clock: Clock) -> None:
    receiver.answers["/hook"] = answer(500)
    webhook = await post.subscribe()
    await post.publish(message(1))
    (held,) = await post.worker.take()
    clock.forward(seconds=worker_module.LEASE.total_seconds() + 1)
    await post.worker.take()
    await post.worker._post(held)
    await post.worker.write()
    (logged,) = await post.log(webhook)
    assert logged.state == "sending"
    assert [one["fault"] for one in logged.attempts] == ["worker_lost"]


async def test_one_bad_event_does_not_put_a_good_endpoint_aside(
    post: Post, receiver: WebhookReceiver, clock: Clock
) -> None:
    refused = message(13)

    async def superstitious(request: Any) -> Any:
        bad = str(refused.event_id) in receiver.came[-1].id
        return await answer(422 if bad else 204)(request)

    receiver.answers["/hook"] = superstitious
    webhook = await post.subscribe()
    await post.publish(refused)
    for seq in range(100, 140):
        await post.publish(message(seq))
        await post.round()
        clock.forward(seconds=10)
    assert len(receiver.numbers()) == 40
    healthy = await post.now(webhook)
    assert (healthy.failures, healthy.resting_until) == (0, None)
