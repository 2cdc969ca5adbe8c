"""A browser subscribes over HTTP, is pushed to by a real server, and falls silent; then an SMS goes."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.support.push_server import push_server
from tests.support.servers import Host, running_server
from tests.support.twilio_server import ACCOUNT, SENDER, TOKEN, twilio_server

PHONE = "+4915112345678"
SUBSCRIPTIONS = "/api/notifications/push-subscriptions"


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    for _ in range(400):
        if found := holds():
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError


def say(writer: httpx.Client, text: str) -> dict[str, Any]:
    body = {"client_id": str(uuid4()), "content": text}
    message: dict[str, Any] = writer.post("/api/contexts/booking/b1/messages", json=body).raise_for_status().json()
    return message


async def test_a_push_arrives_reading_ends_it_and_an_sms_takes_its_place(dsn: str, tmp_path: Path) -> None:
    async with twilio_server() as twilio, push_server() as service:
        settings = {
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM": SENDER,
            "TWILIO_API_URL": twilio.url,
            "PARLEY_PUSH_DELAY_S": "0.5",
            "PARLEY_SMS_DELAY_S": "3",
            "PARLEY_PUSH_ALLOWED_HOSTS": service.url,
            "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00",
        }
        with running_server(dsn, tmp_path, **settings) as server:
            host = Host(server, server.cli("keys", "create", "tests"))
            ana, bo = host.user("ana"), host.user("bo", phone=PHONE)
            host.context("b1", {"ana": "worker", "bo": "supervisor"})
            with closing(host.http), host.person(ana) as writer, host.person(bo) as reader:

                def ledger(transport: str) -> list[str]:
                    items = reader.get("/api/notifications/deliveries").json()["items"]
                    return [row["state"] for row in reversed(items) if row["transport"] == transport]

                key = reader.get("/api/notifications/vapid-key").raise_for_status().json()["public_key"]
                browser = service.subscribe(key)
                made = reader.post(SUBSCRIPTIONS, json=browser.to_json())
                assert made.status_code == 201, made.text

                first = say(writer, "first secret")
                await until(lambda: browser.heard)
                assert browser.heard[0].payload["body"] == "You have a new message from Ana"
                assert browser.heard[0].payload["link"].endswith(f"/channels/{first['channel_id']}")
                reader.put(f"/api/channels/{first['channel_id']}/read", json={"seq": 1}).raise_for_status()
                await until(lambda: ledger("sms") == ["suppressed"])

                say(writer, "second secret")
                await until(lambda: twilio.sent)
                assert (len(browser.heard), ledger("push")) == (2, ["accepted", "accepted"])
                reader.put(f"/api/channels/{first['channel_id']}/read", json={"seq": 2}).raise_for_status()

                service.unsubscribe(browser)
                say(writer, "third secret")
                await until(lambda: len(twilio.sent) == 2)
                assert ledger("push") == ["accepted", "accepted", "failed"]
                assert reader.get(SUBSCRIPTIONS).json()["items"] == []
        assert service.faults == []
        assert len(twilio.sent) == 2
        log = server.log.read_text()
        for secret in (browser.endpoint, browser.endpoint[-20:], *browser.to_json()["keys"].values(), PHONE, "secret"):
            assert secret not in log
