"""`kill -9` between the answer to an invitation and what follows from it: it follows, once, and nothing is left."""

import asyncio
from pathlib import Path

import asyncpg

from tests.modules.contacts.guests import guests
from tests.support.servers import Host, running_server

LEFT = "SELECT count(*) FROM bus_outbox"
STARTED_S = 30


async def test_who_accepted_is_in_the_channel_after_a_restart(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http, guests(host, "ana", "ben") as people:
            group = people.a_group("ana")
            invite = people.invite("ana", "ben", kind="channel", channel_id=group, channel_role="moderator").json()
            holding = await asyncpg.connect(dsn)
            try:
                async with holding.transaction():
                    await holding.execute("SELECT FROM chat_channels WHERE id = $1 FOR UPDATE", group)
                    path = f"/api/invites/{invite['id']}"
                    assert people.clients["ben", 0].put(path, json={"action": "accept"}).status_code == 200
                    server.kill()
                assert await holding.fetchval(LEFT) > 0, "what follows hasn't happened yet"
                server.start()
                async with asyncio.timeout(STARTED_S):
                    while await holding.fetchval(LEFT):
                        await asyncio.sleep(0.05)
            finally:
                await holding.close()
            assert people.roles("ana", group) == {"ana": "admin", "ben": "moderator"}
            joined = ("participant_joined", "ben", "moderator", "ana")
            assert await people.steps(group) == [joined]
            assert await people.statuses(invite["id"]) == [("pending", "ana"), ("accepted", "ben")]
