"""A client_id names one message for ever, whichever way and however often it is sent."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import Frame, chat
from tests.support.log import damage, read
from tests.support.servers import SERVE, Host, Server, person_at, running_server


async def test_over_socket_and_http_through_reconnects_and_restarts(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        ana = one_person(server)
        told = await everyway(server, ana)
        server.kill()
        server.start()
        told += await everyway(server, ana)
    assert len({(message["id"], message["seq"], message["created_at"]) for message in told}) == 1
    log = await read(dsn, "b1")
    assert [record.client_id for record in log.records] == ["c"]
    assert damage(log) == []


async def test_another_text_under_it_is_a_conflict_and_changes_nothing(host: Host) -> None:
    ana, ben, name, where = people(host)
    async with chat(host.server.ws_url, ana) as at_ana, chat(host.server.ws_url, ben) as at_ben:
        first = await at_ana.message("one", client_id="c", context=where)
        other = await at_ana.message("two", client_id="c", context=where)
        bens = await at_ben.message("two", client_id="c", context=where)
    with host.person(ana) as http:
        by_http = http.post(f"/api/contexts/booking/{name}/messages", json={"client_id": "c", "content": "One"})
        page = http.get(f"/api/channels/{first['channel_id']}/messages").json()
    assert other["problem"]["status"] == by_http.status_code == 409
    assert other["problem"]["type"] == by_http.json()["type"] == "/problems/client-id-conflict"
    assert bens["type"] == "ack", "another sender may use the same one"
    assert [message["content"] for message in page["items"]] == ["one", "two"]


async def test_thirty_at_once_are_one_message_and_one_frame(host: Host) -> None:
    ana, ben, _, where = people(host)
    async with chat(host.server.ws_url, ben) as at_ben:
        acks = await asyncio.gather(*(send_once(host, ana, where) for _ in range(5) for _ in range(2)))
        acks += await many_on_one_socket(host, ana, where)
        await at_ben.receive("message.created")
        await at_ben.message("done", context=where)
        durable = [frame for frame in at_ben.seen if "seq" in frame]
    assert {(ack["seq"], ack["message"]["id"]) for ack in acks} == {(1, acks[0]["message"]["id"])}
    assert len(acks) == 30
    assert [frame["seq"] for frame in durable] == [1, 2]


async def test_one_that_is_sent_again_after_the_booking_was_closed_is_still_answered(host: Host) -> None:
    ana, _, name, where = people(host)
    async with chat(host.server.ws_url, ana) as at_ana:
        first = await at_ana.message("one", client_id="c", context=where)
        host.context(name, {f"ana-{name}": "worker"}, status="closed")
        again = await at_ana.message("one", client_id="c", context=where)
        new = await at_ana.message("two", client_id="d", context=where)
    assert again["message"]["id"] == first["message"]["id"]
    assert new["problem"]["type"] == "/problems/channel-closed"


@pytest.mark.parametrize("fault", ["dies_before_commit", "dies_after_commit"])
async def test_an_unknown_outcome_sent_again_is_one_row(dsn: str, tmp_path: Path, fault: str) -> None:
    """The server is killed right before, or right after, the commit: the client can't tell, and needn't."""
    with running_server(dsn, tmp_path, variant=fault) as server:
        ana = one_person(server)
        async with chat(server.ws_url, ana) as at_ana:
            await at_ana.send(type="message.send", ref="r", client_id="c", content="one", context=BOOKING)
            assert await at_ana.closed() == 1006
        committed, told = await count(dsn), await events(dsn)
        server.program = SERVE
        server.kill()
        server.start()
        async with chat(server.ws_url, ana) as at_ana:
            ack = await at_ana.message("one", client_id="c", context=BOOKING)
    assert committed == told == (1 if fault == "dies_after_commit" else 0), "the message and its event, or neither"
    assert ack["seq"] == 1
    log = await read(dsn, "b1")
    assert [(str(record.id), record.seq) for record in log.records] == [(ack["message"]["id"], 1)]
    assert damage(log) == []


BOOKING = {"type": "booking", "id": "b1"}


def people(host: Host) -> tuple[str, str, str, dict[str, str]]:
    """Make a booking of two; returns their tokens, its name and what frames call it."""
    name = uuid4().hex[:8]
    ana, ben = host.user(f"ana-{name}"), host.user(f"ben-{name}")
    host.context(name, {f"ana-{name}": "worker", f"ben-{name}": "supervisor"})
    return ana, ben, name, {"type": "booking", "id": name}


def one_person(server: Server) -> str:
    """Make somebody with a booking; returns their token."""
    host = Host(server, server.cli("keys", "create", "tests"))
    with host.http:
        token = host.user("ana")
        host.context("b1", {"ana": "worker"})
    return token


async def everyway(server: Server, token: str) -> list[dict[str, Any]]:
    """Send the same message over two sockets and both HTTP routes; returns what each was answered."""
    told = []
    for _ in range(2):
        async with chat(server.ws_url, token) as socket:
            ack = await socket.message("Ça va? 👋\r\n", client_id="c", context=BOOKING)
            told.append(ack["message"])
    with person_at(server, token) as http:
        for path in ("/api/contexts/booking/b1/messages", f"/api/channels/{ack['channel_id']}/messages"):
            response = http.post(path, json={"client_id": "c", "content": "Ça va? 👋\r\n"})
            assert response.status_code == 200
            told.append(response.json())
    return told


async def send_once(host: Host, token: str, where: dict[str, str]) -> Frame:
    """Send on a socket of its own."""
    async with chat(host.server.ws_url, token) as socket:
        return await socket.message("same", client_id="c", context=where)


async def many_on_one_socket(host: Host, token: str, where: dict[str, str]) -> list[Frame]:
    """Send twenty times without waiting in between."""
    async with chat(host.server.ws_url, token) as socket:
        for n in range(20):
            await socket.send(type="message.send", ref=f"r{n}", client_id="c", content="same", context=where)
        return [await socket.receive("ack") for _ in range(20)]


async def count(dsn: str) -> int:
    """Return how many messages are stored."""
    try:
        return (await read(dsn, "b1")).last_seq
    except AssertionError:
        return 0


async def events(dsn: str) -> int:
    """Return how many events of messages wait in the outbox."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(
            await connection.fetchval("SELECT count(*) FROM bus_outbox WHERE event_type = 'chat.message.created'")
        )
    finally:
        await connection.close()
