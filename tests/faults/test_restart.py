"""A restart: everybody is sent elsewhere with 1012, what was sent is written or can be sent again, and it ends soon."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from tests.support.chat import chat
from tests.support.log import damage
from tests.support.promises import broken_promises
from tests.support.servers import Server, running_server
from tests.support.talker import Talker, booking, settled, talking, under_load

STOPS_WITHIN_S = 12
SOCKETS = 10


async def test_under_load(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        talkers = booking(server, "b1", "ana", "ben", "cem")
        async with talking(*talkers), AsyncExitStack() as stack:
            await under_load(talkers)
            token = server.cli("token", "ana")
            idle = [await stack.enter_async_context(chat(server.ws_url, token)) for _ in range(SOCKETS - 1)]
            post = asyncio.create_task(posting(server, token))
            began = time.monotonic()
            code = await asyncio.to_thread(server.stop)
            took = time.monotonic() - began
            codes = [await socket.closed() for socket in idle]
            await asyncio.to_thread(server.start)
            await under_load(talkers)
            answers = await post
            found = await settled(dsn, talkers)
    assert code in {0, -signal.SIGTERM}
    assert took < STOPS_WITHIN_S
    assert codes == [1012] * len(idle)
    assert damage(found) == []
    assert broken_promises(found, talkers) == []
    assert ends_well(talkers, answers)


async def posting(server: Server, token: str) -> list[int]:
    """Post the same message until it is answered after the restart; returns the statuses."""
    url = f"{server.url}/api/contexts/booking/b1/messages"
    statuses = []
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        for n in range(10_000):
            try:
                answer = await client.post(url, json={"client_id": f"http-{n}", "content": "by HTTP"})
                statuses.append(answer.status_code)
            except httpx.HTTPError:
                statuses.append(0)
            if statuses[-1] == 201 and 0 in statuses:
                return statuses
            await asyncio.sleep(0.01)
    return statuses


def ends_well(talkers: list[Talker], answers: list[int]) -> bool:
    """Whether nobody was told anything but to try again."""
    problems = {problem["status"] for talker in talkers for problem in talker.problems}
    return problems <= {503} and set(answers) <= {201, 503, 0}
