"""Whichever instance decides on an alert: who is active on another one gets no SMS."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.support.redis_server import RedisServer
from tests.support.scene import Scene, two_hosts

DECIDED_WITHIN_S = 60
SMS = {"PARLEY_SMS_DELAY_S": "1", "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00", "PARLEY_SMS_PER_S": "0"}
ROUNDS = 4
"""Conversations, of whose alerts whoever is first decides."""
DECIDED = """
SELECT coalesce(alert.held_by, 'ended') FROM notification_alerts AS alert
WHERE alert.user_id = $1 AND alert.thread_id = $2::uuid AND alert.transport = 'sms'
    AND (alert.alerted_to >= $3 OR alert.to_seq >= $3 AND alert.held_by IS NOT NULL)
"""


async def decisions(dsn: str, scene: Scene) -> list[str]:
    """Return what put off the alerts of ben and cem, who are active on one instance each; `ended`: nothing did."""
    async with scene.sockets(("ana", 0), ("ben", 0), ("cem", 1)) as (ana, _, _):
        sent = await ana.message("are you there?", channel_id=scene.channel)
        return [await decided(dsn, scene.id(name), scene.channel, int(sent["seq"])) for name in ("ben", "cem")]


async def decided(dsn: str, user_id: str, channel_id: str, seq: int) -> str:
    """Wait until an alert about a message is decided."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(DECIDED_WITHIN_S):
            while (held_by := await connection.fetchval(DECIDED, user_id, channel_id, seq)) is None:
                await asyncio.sleep(0.05)
        return str(held_by)
    finally:
        await connection.close()


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
        found = [held for _ in range(ROUNDS) for held in await decisions(dsn, with_phones(Scene(*pair)))]
    assert (set(found) == {"online_active"}) == shared, found
