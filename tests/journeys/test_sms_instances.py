"""Whichever instance decides on an alert: who is active on another one gets no SMS, and is asked about again."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from kernel.database import Connection as Operator
from tests.support.chat import Chat
from tests.support.redis_server import RedisServer
from tests.support.scene import Scene, two_hosts

DECIDED_WITHIN_S = 20
SMS = {"PARLEY_SMS_DELAY_S": "1", "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00"}
ROUNDS = 6
"""Decisions, each by whoever is first."""
ACTIVE = ("ben", "cem")
VERDICT = """
SELECT coalesce(
    (SELECT state FROM notification_deliveries WHERE user_id = $1 AND channel_id = $2 LIMIT 1),
    (SELECT held_by FROM notification_alerts WHERE user_id = $1 AND channel_id = $2 AND transport = 'sms'))
"""


async def decisions(scene: Scene, dsn: str) -> list[str]:
    """Return what became of alerts for ben and cem, who are active on one instance each: `held`, or what was sent."""
    operator = await asyncpg.connect(dsn)
    try:
        async with scene.sockets(("ana", 0), ("ben", 0), ("cem", 1)) as (ana, _, _):
            return [verdict for n in range(ROUNDS) for verdict in await decided_anew(scene, operator, ana, n)]
    finally:
        await operator.close()


async def decided_anew(scene: Scene, operator: Operator, ana: Chat, n: int) -> list[str]:
    """Let ana write once more, and wait until alerts of it are decided on, by whichever instance."""
    await ana.message(f"message {n}", channel_id=scene.channel)
    verdicts: dict[str, str] = {}
    async with asyncio.timeout(DECIDED_WITHIN_S):
        await open_alerts(operator, 2)
        await operator.execute("UPDATE notification_alerts SET held_by = NULL, due_at = now() WHERE due_at IS NOT NULL")
        while len(verdicts) < len(ACTIVE):
            for name in ACTIVE:
                verdict = await operator.fetchval(VERDICT, scene.id(name), scene.channel)
                verdicts |= {name: verdict} if verdict else {}
            await asyncio.sleep(0.05)
    return list(verdicts.values())


async def open_alerts(operator: Operator, count: int) -> None:
    """Wait until a message was heard of: for those who were sent something before, this opens another alert."""
    while await operator.fetchval("SELECT count(*) FROM notification_alerts WHERE due_at IS NOT NULL") < count:
        if await operator.fetchval("SELECT count(*) FROM notification_deliveries"):
            return
        await asyncio.sleep(0.05)


def with_phones(scene: Scene) -> Scene:
    """Give ben and cem numbers."""
    for last, name in enumerate(ACTIVE):
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
        found = await decisions(with_phones(Scene(*pair)), dsn)
    assert all(verdict == "online_active" for verdict in found) == shared
