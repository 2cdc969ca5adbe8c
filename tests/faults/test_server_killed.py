"""`kill -9` of the server, again and again, under load: nothing acknowledged is lost, doubled or out of place."""

import asyncio
from pathlib import Path

from tests.support.log import damage, read
from tests.support.promises import broken_promises
from tests.support.servers import running_server
from tests.support.talker import acknowledged, booking, settled, talking, under_load


async def test_nothing_acknowledged_is_lost_doubled_or_out_of_place(dsn: str, tmp_path: Path, kills: int) -> None:
    with running_server(dsn, tmp_path) as server:
        talkers = booking(server, "b1", "ana", "ben", "cem", "dia")
        async with talking(*talkers):
            for _ in range(kills):
                await under_load(talkers)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await under_load(talkers)
            found = await settled(dsn, talkers)
    assert damage(found) == []
    assert broken_promises(found, talkers) == []
    assert all(talker.sockets > kills for talker in talkers), "everybody came back after every kill"
    assert {problem["status"] for talker in talkers for problem in talker.problems} <= {503}


async def test_the_same_checks_find_acks_that_precede_the_commit(dsn: str, tmp_path: Path) -> None:
    """The broken variant: everything is acknowledged a moment before it is committed."""
    with running_server(dsn, tmp_path, variant="ack_before_commit") as server:
        talkers = booking(server, "b1", "ana", "ben")
        async with talking(*talkers):
            await acknowledged(talkers[0], more=talkers[0].window + 1)  # the second batch, so the first is committed
            server.kill()
        found = await read(dsn, "b1")
    assert any(fault.startswith("lost") for fault in broken_promises(found, talkers))
