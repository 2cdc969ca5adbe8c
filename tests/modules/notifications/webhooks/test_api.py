"""Webhooks are made, changed, tested and given other secrets over HTTP."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from tests.modules.notifications.webhooks.over_http import Json, happen, log_of, made, path_of
from tests.support.servers import Host
from tests.support.webhook_receiver import WebhookReceiver, answer, hang_up


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
