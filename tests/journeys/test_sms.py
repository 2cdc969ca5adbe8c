"""Somebody who isn't looking gets one SMS through a real server, and the ledger tells what became of it."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.servers import Host, running_server
from tests.support.twilio_server import ACCOUNT, SENDER, TOKEN, twilio_server

PHONE = "+4915112345678"


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    for _ in range(200):
        if found := holds():
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError


async def test_several_messages_one_sms_and_its_report(dsn: str, tmp_path: Path) -> None:
    async with twilio_server() as twilio:
        sms_settings = {
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM": SENDER,
            "TWILIO_API_URL": twilio.url,
            "PARLEY_SMS_DELAY_S": "1.5",
            "PARLEY_PUBLIC_URL": "https://parley.example",
            "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00",
        }
        with running_server(dsn, tmp_path, **sms_settings) as server:
            twilio.leads_to["https://parley.example"] = server.url
            host = Host(server, server.cli("keys", "create", "tests"))
            ana, bo = host.user("ana"), host.user("bo", phone=PHONE)
            host.context("b1", {"ana": "worker", "bo": "supervisor"})
            with closing(host.http), host.person(ana) as writer, host.person(bo) as reader:
                for text in ("first secret", "second secret", "third secret"):
                    body = {"client_id": str(uuid4()), "content": text}
                    writer.post("/api/contexts/booking/b1/messages", json=body).raise_for_status()

                await until(lambda: twilio.sent)
                assert twilio.sent[0].to == PHONE
                assert twilio.sent[0].body.startswith("You have 3 new messages from Ana\nhttps://parley.example/")

                def ledger() -> list[dict[str, Any]]:
                    items: list[dict[str, Any]] = reader.get("/api/notifications/deliveries").json()["items"]
                    return [item for item in items if item["transport"] == "sms"]

                await until(lambda: [row["state"] for row in ledger()] == ["accepted"])
                assert await twilio.report(twilio.sent[0], "delivered") == 204
                [row] = ledger()
                assert (row["state"], row["message_count"], row["transport"]) == ("delivered", 3, "sms")
                assert len(twilio.requests) == 1
        log = server.log.read_text()
        for secret in (PHONE, PHONE[1:], "secret", TOKEN):
            assert secret not in log
