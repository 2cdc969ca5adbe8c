"""What a socket may ask for has bounds; each refusal names its own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from websockets.http11 import Response

from kernel.errors import UnavailableError
from realtime.refusal import refuse
from tests.support.chat import chat
from tests.support.databases import Databases
from tests.support.servers import Host, Server, running_server

LIMITS = {
    "PARLEY_MAX_FRAMES_PER_S": "10",
    "PARLEY_MAX_REQUESTS_PER_S": "10",
    "PARLEY_MESSAGES_PER_S": "0.01",
    "PARLEY_MESSAGE_BURST": "3",
    "PARLEY_MAX_SOCKETS": "3",
    "PARLEY_MAX_JOINING": "2",
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


def test_requests_of_a_person_and_none_of_a_host(host: Host) -> None:
    with host.person(host.user("dia")) as http:
        answers = [http.get("/api/users/me") for _ in range(60)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {429}
    assert refused[0].json()["detail"] == "At most 10 requests a second, 40 at once"
    assert int(refused[0].headers["Retry-After"]) >= 1
    for _ in range(60):
        assert host.http.get("/api/contexts/booking/none").status_code == 404


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
    async with chat(url, cem), chat(url, cem), chat(url, cem):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url, proxy=None)
    assert_refused(refused.value.response, "At most 3 sockets here")
    async with chat(url, cem):
        pass


async def test_sockets_on_their_way_in(host: Host) -> None:
    url = host.server.ws_url
    async with websockets.connect(url, proxy=None), websockets.connect(url, proxy=None):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url, proxy=None)
    assert_refused(refused.value.response, "At most 2 sockets on their way in")


def assert_refused(response: Response, why: str) -> None:
    """The answer to a handshake is a problem that names the limit, and a time to come back."""
    assert response.status_code == 503
    assert 1 <= int(response.headers["Retry-After"]) <= 6
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = {"type": "/problems/unavailable", "title": "Temporarily unavailable", "status": 503, "detail": why}
    assert json.loads(response.body) == problem


async def test_a_server_that_knows_no_such_answer_accepts_and_closes() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await refuse({"extensions": {}}, send, UnavailableError("é" * 100))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[1]["code"] == 1013
    assert sent[1]["reason"] == "é" * 61
