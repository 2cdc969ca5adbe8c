"""Events reach the webhooks that want them, are tried again when they don't, and hold up nobody."""

from datetime import datetime, timedelta

import pytest

from modules.identity.events import UserUpdated
from modules.notifications.webhooks import worker as worker_module
from modules.notifications.webhooks.service import Change
from tests.modules.notifications.conftest import Clock
from tests.modules.notifications.webhooks.conftest import Post, message
from tests.support.webhook_receiver import WebhookReceiver, answer, dawdle, hang_up, in_turn


async def test_an_event_is_posted_to_each_webhook_that_wants_it(post: Post, receiver: WebhookReceiver) -> None:
    exact = await post.subscribe("chat.message.created", path="/exact")
    area = await post.subscribe("chat.*", path="/area")
    other = await post.subscribe("identity.user.updated", "contacts.*", path="/other")
    event = message(1)
    await post.publish(event, UserUpdated(user_id="ana"))
    await post.round()
    assert {(one.path, one.payload["type"]) for one in receiver.taken} == {
        ("/exact", "chat.message.created"),
        ("/area", "chat.message.created"),
        ("/other", "identity.user.updated"),
    }
    assert len(receiver.taken) == 3
    (sent,) = receiver.at("/exact")
    assert sent.id == f"{event.event_id}_{exact.id}"
    assert sent.signed_by == {exact.secret}
    assert sent.headers["Content-Type"] == "application/json"
    data = sent.payload["data"]
    assert data["message_preview"] == "no. 1"
    assert data["event_id"] == str(event.event_id)
    assert data["context_id"] is None
    assert "occurred_at" not in data
    for webhook in (exact, area, other):
        assert await post.states(webhook) == ["delivered"]


async def test_what_is_refused_is_tried_again_on_schedule_until_three_days_are_over(
    post: Post, receiver: WebhookReceiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "jitter", lambda: 1.0)
    receiver.answers["/hook"] = answer(500)
    webhook = await post.subscribe()
    await post.publish(message(1))
    begun = clock()
    while (await post.states(webhook))[0] == "pending":
        await post.round()
        (logged,) = await post.log(webhook)
        clock.time = max(clock.time, logged.due_at)
    (logged,) = await post.log(webhook)
    at = [round((sent_at(one) - begun.timestamp()) / 60) for one in logged.attempts]
    hours = [60 * h for h in (17.583, 29.583, 41.583, 53.583, 65.583, 72)]
    assert at == [0, 0, 5, 35, 155, 455, 1055, *(round(h) for h in hours[1:])]
    assert (logged.state, logged.reason) == ("dead", "http_500")
    assert {one["status"] for one in logged.attempts} == {500}
    assert len({one.id for one in receiver.came}) == 1
    clock.forward(days=1)
    await post.round()
    assert len(receiver.came) == len(at)


def sent_at(attempt: dict[str, str]) -> float:
    """Return when an attempt was, in Unix time."""
    return datetime.fromisoformat(attempt["at"]).timestamp()


async def test_errors_then_success(post: Post, receiver: WebhookReceiver, clock: Clock) -> None:
    receiver.answers["/hook"] = in_turn(answer(500), hang_up, answer(404), answer(200))
    webhook = await post.subscribe()
    await post.publish(message(1))
    for _ in range(4):
        await post.round()
        clock.forward(hours=1)
    (logged,) = await post.log(webhook)
    assert logged.state == "delivered"
    assert [(one["status"], one["fault"]) for one in logged.attempts] == [
        (500, "http_status"),
        (None, "connection_lost"),
        (404, "http_status"),
        (200, None),
    ]
    healthy = await post.now(webhook)
    assert (healthy.failures, healthy.failing_since, healthy.resting_until) == (0, None, None)


async def test_retry_after_is_heeded(post: Post, receiver: WebhookReceiver, clock: Clock) -> None:
    receiver.answers["/hook"] = in_turn(answer(429, Retry_After="3600"), answer(204))
    webhook = await post.subscribe()
    await post.publish(message(1))
    await post.round()
    await post.publish(message(2))
    clock.forward(minutes=59)
    await post.round()
    assert len(receiver.came) == 1  # also the other event waits: it is the endpoint that asked
    clock.forward(minutes=2)
    await post.round()
    assert await post.states(webhook) == ["delivered", "delivered"]


async def test_gone_disables_at_once(post: Post, receiver: WebhookReceiver) -> None:
    receiver.answers["/hook"] = answer(410)
    webhook = await post.subscribe()
    await post.publish(message(1))
    await post.round()
    gone = await post.now(webhook)
    assert (gone.disabled_reason, await post.states(webhook)) == ("gone", ["dead"])
    await post.publish(message(2))
    await post.round()
    assert len(receiver.came) == 1


async def test_redirects_are_not_followed(post: Post, receiver: WebhookReceiver) -> None:
    receiver.answers["/hook"] = answer(307, Location=receiver.url + "/elsewhere")
    webhook = await post.subscribe()
    await post.publish(message(1))
    await post.round()
    (logged,) = await post.log(webhook)
    assert (logged.state, logged.reason) == ("pending", "http_307")
    assert receiver.at("/elsewhere") == []


async def test_a_dead_endpoint_is_asked_seldom_however_many_events_wait(
    post: Post, receiver: WebhookReceiver, clock: Clock
) -> None:
    receiver.answers["/dead"] = answer(503)
    dead = await post.subscribe(path="/dead")
    alive = await post.subscribe(path="/alive")
    for seq in range(60):
        await post.publish(message(seq))
        await post.round()
        clock.forward(seconds=60)
    assert set(receiver.numbers("/alive")) == set(range(60))
    asked = len(receiver.at("/dead"))
    assert asked < 30, "in an hour"
    assert await post.states(alive) == ["delivered"] * 60
    receiver.answers["/dead"] = answer(204)
    for _ in range(20):
        clock.forward(minutes=6)
        await post.round()
    clock.forward(hours=13)
    await post.round()
    assert set(receiver.numbers("/dead")) == set(range(60))
    assert await post.states(dead) == ["delivered"] * 60


async def test_a_slow_endpoint_holds_up_no_other(post: Post, receiver: WebhookReceiver) -> None:
    receiver.answers["/slow"] = dawdle(1.5)
    await post.subscribe(path="/slow")
    await post.subscribe(path="/quick")
    async with post.running():
        await post.publish(*(message(seq) for seq in range(100)))
        await receiver.until(lambda one: len(one.numbers("/quick")) == 100, within_s=10)
        assert len(receiver.numbers("/slow")) <= 5 * worker_module.ROOM
    assert receiver.most_at_once["/slow"] == worker_module.ROOM


async def test_after_five_days_of_nothing_but_failures_it_is_disabled(
    post: Post, receiver: WebhookReceiver, clock: Clock
) -> None:
    receiver.answers["/hook"] = answer(500)
    webhook = await post.subscribe()
    for day in range(6):
        assert (await post.now(webhook)).disabled_at is None
        await post.publish(message(day))
        for _ in range(3):
            await post.round()
            clock.forward(hours=8)
    failing = await post.now(webhook)
    assert failing.disabled_reason == "failing"
    assert failing.failing_since is not None
    receiver.answers["/hook"] = answer(204)
    again = await post.service.change(webhook.id, Change(enabled=True))
    assert (again.disabled_at, again.failing_since, again.failures) == (None, None, 0)
    await post.publish(message(100))
    await post.round()
    assert 100 in receiver.numbers()


async def test_what_nobody_came_to_in_time_is_given_up_and_seen(post: Post, clock: Clock) -> None:
    webhook = await post.subscribe()
    await post.publish(message(1))
    await post.service.change(webhook.id, Change(enabled=False))
    clock.forward(days=3, minutes=1)
    assert await post.states(webhook) == ["pending"]
    clock.forward(minutes=20)
    await post.worker.tidy()
    (logged,) = await post.log(webhook)
    assert (logged.state, logged.reason, logged.attempts) == ("dead", "expired", [])


async def test_the_log_is_kept_for_thirty_days(post: Post, clock: Clock, receiver: WebhookReceiver) -> None:
    webhook = await post.subscribe()
    await post.publish(message(1))
    await post.round()
    clock.forward(days=29)
    await post.publish(message(2))
    await post.worker.tidy()
    assert len(await post.log(webhook)) == 2
    clock.forward(days=2)
    await post.worker.tidy()
    assert len(await post.log(webhook)) == await post.rows("_events") == 1
    clock.forward(days=30)
    await post.worker.tidy()
    await post.worker.tidy()
    assert await post.rows("_events") == await post.rows("_deliveries") == 0


async def test_deleting_ends_what_waits_and_leaves_nothing(post: Post, clock: Clock, receiver: WebhookReceiver) -> None:
    webhook = await post.subscribe()
    await post.publish(*(message(seq) for seq in range(10)))
    await post.service.delete(webhook.id)
    await post.round()
    assert receiver.came == []
    row = await post.database.pool.fetchrow("SELECT url, secret FROM notification_webhooks")
    assert dict(row or {}) == {"url": "", "secret": ""}
    clock.forward(hours=1)
    await post.worker.tidy()
    assert await post.rows("_deliveries") == await post.rows("s") == 0


async def test_rest_grows_to_five_minutes(
    post: Post, receiver: WebhookReceiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "jitter", lambda: 1.0)
    receiver.answers["/hook"] = answer(500)
    webhook = await post.subscribe()
    rests = []
    for seq in range(14):
        await post.publish(message(seq))
        await post.round()
        resting = (await post.now(webhook)).resting_until
        rests.append(0 if resting is None else round((resting - clock.time).total_seconds()))
        clock.time = max(clock.time, resting or clock.time) + timedelta(milliseconds=1)
    assert rests == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
