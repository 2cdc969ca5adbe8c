"""What a socket may ask for has bounds; each refusal names its own."""

from collections.abc import Iterator

import pytest
import websockets

from tests.support.chat import chat
from tests.support.databases import Databases
from tests.support.servers import Host, Server, running_server

LIMITS = {
    "PARLEY_MAX_FRAMES_PER_S": "10",
    "PARLEY_MESSAGES_PER_S": "0.01",
    "PARLEY_MESSAGE_BURST": "3",
    "PARLEY_MAX_SOCKETS": "3",
}


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that allows little."""
    with postgres.fresh() as dsn, running_server(dsn, tmp_path_factory.mktemp("server"), **LIMITS) as running:
        yield running


async def test_frames(host: Host) -> None:
    async with chat(host.server.ws_url, host.user("ana")) as socket:
        for _ in range(60):
            await socket.send(type="ping")
        assert await socket.closed() == 4429
    assert socket.socket.close_reason == "At most 10 frames a second, 40 at once"
    assert len([frame for frame in socket.seen if frame["type"] == "pong"]) == 40


async def test_messages_by_whichever_door(host: Host) -> None:
    ben = host.user("ben")
    host.context("b1", {"ben": "worker"})
    where = {"type": "booking", "id": "b1"}
    async with chat(host.server.ws_url, ben) as socket:
        for n in range(3):
            assert (await socket.message(f"{n}", context=where))["type"] == "ack"
        refused = (await socket.message("4", context=where))["problem"]
    with host.person(ben) as http:
        answer = http.post("/api/contexts/booking/b1/messages", json={"client_id": "c", "content": "5"})
    assert refused["status"] == answer.status_code == 429
    assert refused["detail"] == answer.json()["detail"] == "At most 0.01 messages a second, 3 at once"
    assert int(answer.headers["Retry-After"]) > 30


async def test_sockets(host: Host) -> None:
    cem, url = host.user("cem"), host.server.ws_url
    async with chat(url, cem), chat(url, cem), chat(url, cem), websockets.connect(url, proxy=None) as fourth:
        with pytest.raises(websockets.ConnectionClosed, match=r"1013.*at most 3 sockets here"):
            await fourth.recv()
    async with chat(url, cem):
        pass
