"""The host's webhooks over HTTP, at a real server that posts to a real endpoint."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.databases import Databases
from tests.support.servers import Host, running_server
from tests.support.webhook_receiver import WebhookReceiver, answer, hang_up, webhook_receiver

Json = dict[str, Any]


@pytest.fixture(scope="module")
async def endpoint() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def host(postgres: Databases, tmp_path_factory: pytest.TempPathFactory, endpoint: WebhookReceiver) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("webhooks")
    with postgres.fresh() as dsn, posting_server(dsn, folder, endpoint) as host:
        yield host


@contextmanager
def posting_server(dsn: str, folder: Path, endpoint: WebhookReceiver, **more: Any) -> Iterator[Host]:
    """Run a server that may post to the endpoint, and a host with a key for webhooks and all else."""
    with running_server(dsn, folder, PARLEY_WEBHOOK_ALLOWED_ORIGINS=endpoint.url, **more) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            yield host


@pytest.fixture
async def http(host: Host) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": host.http.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=host.server.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client
        for webhook in (await client.get("/api/webhooks", params={"limit": 100})).json()["items"]:
            await client.delete(f"/api/webhooks/{webhook['id']}")


async def made(http: httpx.AsyncClient, endpoint: WebhookReceiver, *events: str, path: str | None = None) -> Json:
    """Make a webhook, which the endpoint knows, at a path of its own."""
    body = {"url": f"{endpoint.url}/{path or uuid4().hex}", "events": list(events) or ["identity.*"]}
    answered = await http.post("/api/webhooks", json=body)
    assert answered.status_code == 201, answered.text
    webhook: Json = answered.json()
    endpoint.secrets.add(webhook["secret"])
    return webhook


def path_of(webhook: Json) -> str:
    """Return where it leads at the endpoint."""
    return "/" + str(webhook["url"]).rpartition("/")[2]


async def happen(http: httpx.AsyncClient, user_id: str = "") -> str:
    """Let something happen, and return whom it is about."""
    user_id = user_id or f"u-{uuid4().hex[:12]}"
    body = {"username": user_id, "display_name": "Somebody"}
    (await http.put(f"/api/users/{user_id}", json=body)).raise_for_status()
    return user_id


async def log_of(http: httpx.AsyncClient, webhook: Json, **query: str) -> list[Json]:
    """Return the log of a webhook."""
    answered = await http.get(f"/api/webhooks/{webhook['id']}/deliveries", params=query)
    items: list[Json] = answered.raise_for_status().json()["items"]
    return items


async def until_state(http: httpx.AsyncClient, webhook: Json, state: str, count: int = 1) -> list[Json]:
    """Wait until so many of a webhook's deliveries are in a state."""
    async with asyncio.timeout(20):
        while len(found := await log_of(http, webhook, state=state)) < count:
            await asyncio.sleep(0.02)
    return found


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


async def test_the_secret_is_shown_once(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint)
    secret = webhook.pop("secret")
    assert (await http.get(f"/api/webhooks/{webhook['id']}")).json() == webhook
    listed = await http.get("/api/webhooks")
    assert listed.json() == {"items": [webhook], "next": None}
    changed = await http.patch(f"/api/webhooks/{webhook['id']}", json={"description": "other"})
    assert changed.json() == webhook | {"description": "other", "updated_at": changed.json()["updated_at"]}
    assert all(secret not in one.text for one in (listed, changed))


async def test_one_idempotency_key_makes_one_webhook_and_shows_its_secret_again(
    http: httpx.AsyncClient, host: Host, endpoint: WebhookReceiver
) -> None:
    body = {"url": f"{endpoint.url}/once", "events": ["chat.*"]}
    headers = {"Idempotency-Key": uuid4().hex}
    answers = await asyncio.gather(*(http.post("/api/webhooks", json=body, headers=headers) for _ in range(5)))
    assert len({one.text for one in answers}) == 1
    assert len((await http.get("/api/webhooks")).json()["items"]) == 1
    other = await http.post("/api/webhooks", json=body | {"events": ["identity.*"]}, headers=headers)
    assert other.status_code == 409


async def test_pages_hold_each_webhook_once(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    expected = [(await made(http, endpoint))["id"] for _ in range(5)]
    found, cursor = [], None
    while True:
        query: Json = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/api/webhooks", params=query)).raise_for_status().json()
        found += [webhook["id"] for webhook in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert found == expected


async def test_there_are_fifty_at_most_however_many_are_made_at_once(
    http: httpx.AsyncClient, endpoint: WebhookReceiver
) -> None:
    for _ in range(46):
        await made(http, endpoint)
    body = {"url": f"{endpoint.url}/many", "events": ["chat.*"]}
    answers = await asyncio.gather(*(http.post("/api/webhooks", json=body) for _ in range(10)))
    assert sorted(one.status_code for one in answers) == [201] * 4 + [409] * 6
    refused = next(one for one in answers if one.status_code == 409)
    assert refused.json()["type"] == "/problems/too-many-webhooks"
    assert "50" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "http://shop.example/hook"}, "/url"),
        ({"url": "https://127.0.0.1/hook"}, "/url"),
        ({"url": "https://[::1]/hook"}, "/url"),
        ({"url": "https://[::ffff:10.0.0.1]/hook"}, "/url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "/url"),
        ({"url": "https://localhost/hook"}, "/url"),
        ({"url": "https://2130706433/hook"}, "/url"),
        ({"url": "https://user:secret@shop.example/hook"}, "/url"),
        ({"url": "https://8.8.8.8:8443/hook"}, "/url"),
        ({"url": "ftp://shop.example/hook"}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": "https://shop.example/" + "x" * 2000}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["chat.message.created"] * 51}, "/events"),
        ({"events": ["chat.*", "chat.nonsense"]}, "/events/1"),
        ({"events": ["*"]}, "/events/0"),
        ({"events": ["webhook.test"]}, "/events/0"),
        ({"events": ["chat.message.created\n"]}, "/events/0"),
        ({"description": "x" * 201}, "/description"),
        ({"description": "a\0b"}, "/description"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_what_is_refused_is_named_when_made_and_when_changed(
    http: httpx.AsyncClient, endpoint: WebhookReceiver, change: Json, pointer: str
) -> None:
    webhook = await made(http, endpoint)
    body = {"url": f"{endpoint.url}/hook", "events": ["chat.*"]} | change
    for answered in (
        await http.post("/api/webhooks", json=body),
        await http.patch(f"/api/webhooks/{webhook['id']}", json=change),
    ):
        assert answered.status_code == 400, answered.text
        assert [error["pointer"] for error in answered.json()["errors"]] == [pointer]
        assert "secret@" not in answered.text
    assert (await http.get(f"/api/webhooks/{webhook['id']}")).json()["url"] == webhook["url"]


async def test_a_test_says_what_the_endpoint_said(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint)
    endpoint.answers[path_of(webhook)] = answer(202, text="thank you " * 100)
    test = f"/api/webhooks/{webhook['id']}/test"
    told = (await http.post(test)).raise_for_status().json()
    assert (told["delivered"], told["status"], told["fault"]) == (True, 202, None)
    assert told["body"] == ("thank you " * 100)[:500]
    (sent,) = endpoint.at(path_of(webhook))
    assert sent.verifies(webhook["secret"])
    assert sent.payload["type"] == "webhook.test"
    assert sent.payload["data"]["webhook_id"] == webhook["id"]
    endpoint.answers[path_of(webhook)] = answer(500, text="\N{SNOWMAN}")
    told = (await http.post(test)).json()
    assert (told["delivered"], told["status"], told["fault"], told["body"]) == (False, 500, "http_status", "☃")
    endpoint.answers[path_of(webhook)] = hang_up
    told = (await http.post(test)).json()
    assert (told["delivered"], told["status"], told["fault"], told["body"]) == (False, None, "connection_lost", "")
    await http.patch(f"/api/webhooks/{webhook['id']}", json={"enabled": False})
    endpoint.answers[path_of(webhook)] = answer(200)
    assert (await http.post(test)).json()["delivered"]
    assert await log_of(http, webhook) == []


async def test_tests_are_limited(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint)
    answers = [await http.post(f"/api/webhooks/{webhook['id']}/test") for _ in range(12)]
    refused = next(one for one in answers if one.status_code != 200)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")


async def test_both_secrets_sign_until_the_grace_is_over(http: httpx.AsyncClient, endpoint: WebhookReceiver) -> None:
    webhook = await made(http, endpoint)
    path, rotate = path_of(webhook), f"/api/webhooks/{webhook['id']}/rotate-secret"
    secrets = [webhook["secret"]]
    for grace_s in (86_400, 86_400, 1, 0):
        rotated = (await http.post(rotate, json={"grace_s": grace_s})).raise_for_status().json()
        secrets.append(rotated["secret"])
        assert (rotated["previous_secret_until"] is not None) == (grace_s > 0)
        await http.post(f"/api/webhooks/{webhook['id']}/test")
        sent = endpoint.at(path)[-1]
        living = secrets[-2:] if grace_s else secrets[-1:]
        assert {secret for secret in secrets if sent.verifies(secret)} == set(living)
        assert len(sent.headers["webhook-signature"].split(" ")) == len(living)
    await http.post(rotate, json={"grace_s": 1})
    await asyncio.sleep(1.5)
    endpoint.secrets |= set(secrets)
    await happen(http)
    await endpoint.until(lambda one: one.at(path)[-1].payload["type"] == "identity.user.updated")
    assert not endpoint.at(path)[-1].signed_by & set(secrets)
    assert len({*secrets}) == 5
    default = (await http.post(rotate, json={})).json()
    assert default["previous_secret_until"] > default["updated_at"]
    for wrong in (-1, 604_801, "1", None):
        answered = await http.post(rotate, json={"grace_s": wrong})
        assert [error["pointer"] for error in answered.json()["errors"]] == ["/grace_s"]


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


async def test_the_catalogue_is_published(http: httpx.AsyncClient) -> None:
    items = (await http.get("/api/webhooks/event-types")).raise_for_status().json()["items"]
    document = (await http.get("/schema")).json()
    assert {item["type"] for item in items} | {"webhook.test"} == set(document["webhooks"])
    posted = document["webhooks"]["chat.message.created"]["post"]
    assert [one["name"] for one in posted["parameters"]] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    shown = posted["requestBody"]["content"]["application/json"]["example"]
    assert shown == next(item["example"] for item in items if item["type"] == "chat.message.created")


@pytest.mark.parametrize("scope", ["users", "tokens"])
async def test_only_keys_for_webhooks_may(host: Host, scope: str) -> None:
    key = await asyncio.to_thread(host.server.cli, "keys", "create", "other", "--scope", scope)
    async with httpx.AsyncClient(base_url=host.server.url, trust_env=False) as anyone:
        for credential in (key, await asyncio.to_thread(admin, host)):
            answered = await anyone.get("/api/webhooks", headers={"Authorization": f"Bearer {credential}"})
            assert answered.status_code == 403


def admin(host: Host) -> str:
    """Return an admin's token."""
    host.user("root")
    return host.token("root", role="admin")


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
