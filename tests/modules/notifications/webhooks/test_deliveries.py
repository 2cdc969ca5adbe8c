"""What happens reaches the endpoint at a real server, and its log, from which it is sent again."""

import asyncio
from uuid import uuid4

import httpx

from tests.modules.notifications.webhooks.over_http import happen, log_of, made, path_of, until_state
from tests.support.servers import Host
from tests.support.webhook_receiver import WebhookReceiver, answer


async def test_from_the_change_to_the_endpoint_and_its_log(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint, "identity.user.updated")
    user_id = await happen(http)
    await endpoint.until(lambda one: one.at(path_of(webhook)))
    (sent,) = endpoint.at(path_of(webhook))
    assert sent.verifies(webhook["secret"])
    assert sent.payload["type"] == "identity.user.updated"
    assert sent.payload["data"]["user_id"] == user_id
    (logged,) = await until_state(http, webhook, "delivered")
    (attempt,) = logged["attempts"]
    assert (attempt["status"], attempt["fault"], logged["next_attempt_at"]) == (204, None, None)
    assert logged["event_id"] == sent.payload["data"]["event_id"]
    assert sent.id == f"{logged['event_id']}_{webhook['id']}"


async def test_what_happens_in_a_conversation_reaches_the_host(
    host: Host, http: httpx.AsyncClient, endpoint: WebhookReceiver
) -> None:
    webhook = await made(http, endpoint, "chat.*")
    ana, ben = host.user("ana"), host.user("ben")
    host.context("told", {"ana": "worker", "ben": "supervisor"})
    with host.person(ana) as writer, host.person(ben) as reader:
        body = {"client_id": "1", "content": "The gate is locked."}
        first = writer.post("/api/contexts/booking/told/messages", json=body).raise_for_status().json()
        at = f"/api/messages/{first['id']}"
        writer.patch(at, json={"client_id": "2", "content": "The gate is open."}).raise_for_status()
        writer.delete(at).raise_for_status()
        body = {"client_id": "3", "content": "Never mind."}
        last = writer.post(f"/api/channels/{first['channel_id']}/messages", json=body).raise_for_status().json()
        reader.put(f"/api/channels/{first['channel_id']}/read", json={"seq": last["seq"]}).raise_for_status()
    host.context("told", {"ana": "worker"})
    await endpoint.until(lambda one: len(one.at(path_of(webhook))) == 6)
    told = {(one.payload["type"], one.payload["data"].get("seq")) for one in endpoint.at(path_of(webhook))}
    assert told == {
        ("chat.message.created", 1),
        ("chat.message.revised", 2),
        ("chat.message.deleted", 3),
        ("chat.message.created", 4),
        ("chat.channel.read", None),
        ("chat.participant.left", 5),
    }
    created = next(one.payload for one in endpoint.at(path_of(webhook)) if one.payload["data"].get("seq") == 1)
    assert created["timestamp"] >= first["created_at"]
    assert created["data"] | {"event_id": ""} == {
        "event_id": "",
        "channel_id": first["channel_id"],
        "message_id": first["id"],
        "seq": 1,
        "sender_id": "ana",
        "sender_name": "Ana",
        "recipient_ids": ["ben"],
        "message_preview": "The gate is locked.",
        "context_type": "booking",
        "context_id": "told",
    }


async def test_disabled_ones_are_sent_nothing_and_miss_what_happens(
    http: httpx.AsyncClient, endpoint: WebhookReceiver
) -> None:
    webhook = await made(http, endpoint)
    off = (await http.patch(f"/api/webhooks/{webhook['id']}", json={"enabled": False})).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "requested")
    await happen(http)
    on = (await http.patch(f"/api/webhooks/{webhook['id']}", json={"enabled": True})).json()
    assert (on["enabled"], on["disabled_reason"]) == (True, None)
    user_id = await happen(http)
    await endpoint.until(lambda one: one.at(path_of(webhook)))
    await asyncio.sleep(0.2)
    assert [one.payload["data"]["user_id"] for one in endpoint.at(path_of(webhook))] == [user_id]


async def test_a_change_counts_for_what_happens_afterwards(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint, "chat.*")
    assert await happen(http)
    to = f"{endpoint.url}/moved-{uuid4().hex}"
    body = {"events": ["identity.user.updated", "identity.user.updated"], "url": to}
    changed = (await http.patch(f"/api/webhooks/{webhook['id']}", json=body)).json()
    assert (changed["events"], changed["url"]) == (["identity.user.updated"], to)
    user_id = await happen(http)
    await endpoint.until(lambda one: one.at(path_of(changed)))
    assert [one.payload["data"]["user_id"] for one in endpoint.at(path_of(changed))] == [user_id]


async def test_replaying_one_and_all_that_died(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint)
    at = f"/api/webhooks/{webhook['id']}"
    await happen(http)
    (taken,) = await until_state(http, webhook, "delivered")
    replayed = (await http.post(f"{at}/deliveries/{taken['id']}/replay")).raise_for_status().json()
    assert (replayed["state"], len(replayed["attempts"])) == ("pending", 1)
    await endpoint.until(lambda one: len(one.at(path_of(webhook))) == 2)
    assert len({one.id for one in endpoint.at(path_of(webhook))}) == 1
    await until_state(http, webhook, "delivered")

    endpoint.answers[path_of(webhook)] = answer(410)
    begun = taken["created_at"]
    await happen(http)
    (dead,) = await until_state(http, webhook, "dead")
    assert dead["reason"] == "http_410"
    for refused in (
        await http.post(f"{at}/deliveries/{dead['id']}/replay"),
        await http.post(f"{at}/deliveries/replay", json={"since": begun}),
    ):
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/webhook-disabled")
    assert (await http.get(at)).json()["disabled_reason"] == "gone"
    endpoint.answers[path_of(webhook)] = answer(200)
    await http.patch(at, json={"enabled": True})
    nothing = await http.post(f"{at}/deliveries/replay", json={"since": "2100-01-01T00:00:00Z"})
    assert nothing.json() == {"replayed": 0, "more": False}
    assert (await http.post(f"{at}/deliveries/replay", json={"since": begun})).json()["replayed"] == 1
    await until_state(http, webhook, "delivered", count=2)


async def test_what_is_still_tried_is_not_replayed(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint)
    endpoint.answers[path_of(webhook)] = answer(500)
    await happen(http)
    async with asyncio.timeout(10):
        while not (found := [one for one in await log_of(http, webhook) if one["attempts"]]):
            await asyncio.sleep(0.02)
    assert found[0]["next_attempt_at"] > found[0]["attempts"][0]["at"]
    refused = await http.post(f"/api/webhooks/{webhook['id']}/deliveries/{found[0]['id']}/replay")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/delivery-under-way")


async def test_the_log_is_read_in_pages_and_by_type(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint)
    people = [await happen(http) for _ in range(4)]
    await http.delete(f"/api/users/{people[0]}")
    await until_state(http, webhook, "delivered", count=5)
    assert [one["event_type"] for one in await log_of(http, webhook, event_type="identity.user.deactivated")] == [
        "identity.user.deactivated"
    ]
    found, query = [], {"limit": "2"}
    while True:
        page = (await http.get(f"/api/webhooks/{webhook['id']}/deliveries", params=query)).json()
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(found) == len(set(found)) == 5
    assert found == sorted(found, reverse=True)


async def test_what_is_not_there_or_another_webhook_s_is_404(
    http: httpx.AsyncClient, endpoint: WebhookReceiver
) -> None:
    one, other = await made(http, endpoint), await made(http, endpoint, "chat.*")
    await happen(http)
    (logged,) = await until_state(http, one, "delivered")
    deleted = await made(http, endpoint)
    assert (await http.delete(f"/api/webhooks/{deleted['id']}")).status_code == 204
    for webhook_id in (uuid4(), deleted["id"]):
        at = f"/api/webhooks/{webhook_id}"
        answers = [
            await http.get(at),
            await http.patch(at, json={}),
            await http.delete(at),
            await http.post(f"{at}/test"),
            await http.post(f"{at}/rotate-secret", json={}),
            await http.get(f"{at}/deliveries"),
            await http.post(f"{at}/deliveries/{logged['id']}/replay"),
            await http.post(f"{at}/deliveries/replay", json={"since": "2026-01-01T00:00:00Z"}),
        ]
        assert [one.status_code for one in answers] == [404] * 8
    for delivery_id in (logged["id"], uuid4()):
        answered = await http.post(f"/api/webhooks/{other['id']}/deliveries/{delivery_id}/replay")
        assert answered.status_code == 404


async def test_no_log_tells_a_secret_an_address_or_an_answer(
    host: Host, http: httpx.AsyncClient, endpoint: WebhookReceiver
) -> None:
    webhook = await made(http, endpoint, path="a-path-that-is-secret")
    endpoint.answers[path_of(webhook)] = answer(500, text="an answer that is nobody's business")
    await http.post(f"/api/webhooks/{webhook['id']}/test")
    await happen(http)
    await endpoint.until(lambda one: len(one.at(path_of(webhook))) > 1)
    rotated = (await http.post(f"/api/webhooks/{webhook['id']}/rotate-secret", json={})).json()
    told = host.server.log.read_text()
    for secret in (webhook["secret"], rotated["secret"], "a-path-that-is-secret", endpoint.url, "nobody's business"):
        assert secret.removeprefix("whsec_") not in told
