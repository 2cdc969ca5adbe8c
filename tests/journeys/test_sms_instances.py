"""Whichever instance decides on an alert: who is active on another one gets no SMS."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.redis_server import RedisServer
from tests.support.scene import Scene, two_hosts

DECIDED_WITHIN_S = 20
SMS = {"PARLEY_SMS_DELAY_S": "1", "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00"}
ROUNDS = 6
"""Alerts, each decided by whoever is first."""


async def decisions(scene: Scene) -> list[tuple[str, str | None]]:
    """Return what became of alerts for ben and cem, who are active on one instance each."""
    async with scene.sockets(("ana", 0), ("ben", 0), ("cem", 1)) as (ana, _, _):
        for n in range(ROUNDS):
            await ana.message(f"message {n}", channel_id=scene.channel)
            for name in ("ben", "cem"):
                await decided(scene, name, n + 1)
    return [(row["state"], row.get("reason")) for name in ("ben", "cem") for row in ledger(scene, name)]


async def decided(scene: Scene, name: str, count: int) -> None:
    """Wait until so many alerts for somebody are decided."""
    async with asyncio.timeout(DECIDED_WITHIN_S):
        while len([row for row in ledger(scene, name) if row["state"] != "pending"]) < count:
            await asyncio.sleep(0.05)


def ledger(scene: Scene, name: str) -> list[dict[str, Any]]:
    with scene.host.person(scene.tokens[name]) as person:
        items: list[dict[str, Any]] = person.get("/api/notifications/deliveries").json()["items"]
    return [item for item in items if item["transport"] == "sms"]


def with_phones(scene: Scene) -> Scene:
    """Give ben and cem numbers."""
    for last, name in enumerate(("ben", "cem")):
        scene.host.user(scene.id(name), phone=f"+491511234567{last}", username=scene.id(name))
    return scene


@pytest.mark.parametrize(
    "shared",
    [
        pytest.param(True, id="over Redis"),
        pytest.param(False, id="broken: each instance for itself", marks=pytest.mark.long),
    ],
)
async def test_who_is_active_on_another_instance_gets_no_sms(
    dsn: str, tmp_path: Path, redis_server: RedisServer, *, shared: bool
) -> None:
    settings = SMS | ({"REDIS_URL": redis_server.url} if shared else {})
    with two_hosts(dsn, tmp_path, **settings) as pair:
        found = await decisions(with_phones(Scene(*pair)))
    suppressed = [state == "suppressed" for state, _ in found]
    assert all(suppressed) == shared
