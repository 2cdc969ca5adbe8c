"""Nothing is staged that no webhook wants, and every instance soon knows what is wanted."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from kernel.clock import now
from kernel.database import Database
from kernel.settings import Settings
from modules.messaging.events import MessageCreated
from modules.notifications.webhooks.part import CONSUMER
from modules.notifications.webhooks.service import Change
from modules.notifications.webhooks.subscriptions import Subscriptions
from tests.modules.notifications.webhooks.conftest import Post, message
from tests.support.broken_webhooks import deaf_to_webhooks
from tests.support.webhook_receiver import WebhookReceiver

SOON_S = 5
"""A second is promised; a machine under load may take longer."""
Pair = tuple[Post, Post]


@pytest.fixture
async def pair(database: Database, settings: Settings, receiver: WebhookReceiver) -> AsyncIterator[Pair]:
    """Two instances on one database."""
    async with AsyncExitStack() as stack:
        posts = (Post(database, settings, receiver, now), Post(database, settings, receiver, now))
        for one in posts:
            await stack.enter_async_context(one.running())
        for one in posts:
            assert await wants(one, False) < SOON_S
        yield posts


async def wants(post: Post, expected: bool, patience_s: float = SOON_S) -> float:
    """Wait until an instance wants messages, or doesn't; returns how long that took, at most the patience."""
    wanted = post.part._subscriptions.wants(MessageCreated)
    begun = time.monotonic()
    while wanted() is not expected and time.monotonic() - begun < patience_s:
        await asyncio.sleep(0.005)
    return time.monotonic() - begun


async def staged(post: Post) -> int:
    """Publish a message; returns how many rows were staged for it."""
    rows = post.bus.stage([message(1)])
    return rows.consumers.count(CONSUMER)


async def test_nothing_is_staged_that_nobody_wants(pair: Pair) -> None:
    one, _ = pair
    assert await staged(one) == 0
    webhook = await one.subscribe("identity.*")
    await asyncio.sleep(0.3)
    assert await staged(one) == 0
    await one.service.change(webhook.id, Change(events=["chat.*"]))
    assert await staged(one) == 1


async def heard_elsewhere(pair: Pair) -> bool:
    """Make, disable, enable, delete here; whether the other instance follows each."""
    one, other = pair
    followed = []
    webhook = await one.subscribe("chat.*")
    followed.append(await wants(other, True) < SOON_S)
    await one.service.change(webhook.id, Change(enabled=False))
    followed.append(await wants(other, False) < SOON_S)
    await one.service.change(webhook.id, Change(enabled=True))
    followed.append(await wants(other, True) < SOON_S)
    await one.service.delete(webhook.id)
    followed.append(await wants(other, False) < SOON_S)
    return all(followed)


async def test_what_one_instance_changes_the_other_knows_soon(pair: Pair) -> None:
    assert await heard_elsewhere(pair)


async def test_the_same_check_finds_an_instance_that_does_not_hear(
    database: Database, settings: Settings, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant."""
    deaf_to_webhooks(monkeypatch.setattr)
    async with AsyncExitStack() as stack:
        one, other = Post(database, settings, receiver, now), Post(database, settings, receiver, now)
        for post in (one, other):
            await stack.enter_async_context(post.running())
            await wants(post, False)
        assert not await heard_elsewhere((one, other))


async def test_an_event_of_another_instance_reaches_a_new_webhook(pair: Pair, receiver: WebhookReceiver) -> None:
    one, other = pair
    await one.subscribe("chat.message.created")
    await asyncio.sleep(1)
    async with other.database.transaction() as tx:
        await other.bus.publish(tx, message(7))
    await receiver.until(lambda at: at.numbers()[7] == 1)


async def test_while_signals_are_lost_everything_is_wanted(pair: Pair, dsn: str) -> None:
    """Then what others subscribe to isn't missed."""
    one, _ = pair
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ '^(LISTEN|SELECT 1$)'"
    )
    await owner.close()
    assert await wants(one, True) < SOON_S
    assert await wants(one, False) < SOON_S


async def test_before_it_has_read_what_is_wanted_everything_is(database: Database) -> None:
    assert Subscriptions(database).wants(MessageCreated)()


async def test_what_was_staged_in_doubt_is_dropped(post: Post) -> None:
    """The part doesn't run, so it knows nothing."""
    await post.publish(message(1))
    assert await post.rows("_events") == 0
    assert await post.database.pool.fetchval("SELECT count(*) FROM bus_outbox") == 0
