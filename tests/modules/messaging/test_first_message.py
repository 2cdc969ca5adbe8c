"""The first message of a context makes its channel: one, whoever races, and none when it is refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from tests.support.chat import Chat, chat
from tests.support.databases import Databases
from tests.support.log import damage, read
from tests.support.servers import Host, Server, running_server

PEOPLE = tuple(f"u{n}" for n in range(6))


@pytest.fixture(scope="module")
def shared(postgres: Databases) -> Iterator[str]:
    """A database for two servers."""
    with postgres.fresh() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def servers(shared: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two server processes on one database."""
    one, two = (tmp_path_factory.mktemp("server") for _ in range(2))
    with running_server(shared, one) as first, running_server(shared, two) as second:
        yield [first, second]


@pytest.fixture(scope="module")
def host(servers: list[Server]) -> Iterator[Host]:
    """A host that talks to the first of them."""
    host = Host(servers[0], servers[0].cli("keys", "create", "tests"))
    with host.http:
        yield host


@pytest.fixture(scope="module")
def tokens(host: Host) -> dict[str, str]:
    """Everybody's token."""
    return {person: host.user(person) for person in PEOPLE}


@pytest.mark.parametrize("over", [1, 2], ids=["one server", "two servers"])
async def test_thirty_race_over_http_and_sockets(
    over: int, host: Host, servers: list[Server], tokens: dict[str, str], shared: str
) -> None:
    name = f"race-{over}"
    host.context(name, dict.fromkeys(PEOPLE, "worker"))
    chosen = servers[:over]
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(chat(server.ws_url, tokens[person]))
            for server in chosen
            for person in PEOPLE[:3]
        ]
        https = [
            await stack.enter_async_context(person_at(server, tokens[person]))
            for server in chosen
            for person in PEOPLE[3:]
        ]
        places = await asyncio.gather(
            *(by_socket(sockets[n % len(sockets)], name) for n in range(len(sockets))),
            *(by_http(https[n % len(https)], name, n) for n in range(30 - len(sockets))),
        )
    assert sorted(seq for _, seq in places) == list(range(1, 31))
    assert len({channel for channel, _ in places}) == 1
    log = await read(shared, name)
    assert log.last_seq == 30
    assert damage(log) == []


async def test_a_refused_first_message_leaves_no_channel(host: Host, tokens: dict[str, str]) -> None:
    host.context("d1", {"u0": "claimant", "u1": "observer"}, kind="dispute")
    where = {"type": "dispute", "id": "d1"}
    async with chat(host.server.ws_url, tokens["u1"]) as observer, chat(host.server.ws_url, tokens["u2"]) as stranger:
        assert (await observer.message("hello", context=where))["problem"]["status"] == 403
        assert (await stranger.message("hello", context=where))["problem"]["status"] == 404
    for person, status in (("u1", 403), ("u2", 404)):
        with host.person(tokens[person]) as http:
            body = {"client_id": "c", "content": "hello"}
            assert http.post("/api/contexts/dispute/d1/messages", json=body).status_code == status
    assert channel_of(host, "dispute", "d1") is None


async def test_a_first_message_into_a_closed_context_leaves_no_channel(host: Host, tokens: dict[str, str]) -> None:
    host.context("closed", {"u0": "worker"}, status="closed")
    async with chat(host.server.ws_url, tokens["u0"]) as socket:
        answer = await socket.message("hello", context={"type": "booking", "id": "closed"})
    assert answer["problem"]["type"] == "/problems/channel-closed"
    assert channel_of(host, "booking", "closed") is None


async def test_a_refused_message_in_the_same_batch_as_the_first(host: Host, tokens: dict[str, str]) -> None:
    host.context("d2", {"u0": "claimant", "u1": "observer"}, kind="dispute")
    where = {"type": "dispute", "id": "d2"}
    async with chat(host.server.ws_url, tokens["u0"]) as writer, chat(host.server.ws_url, tokens["u1"]) as observer:
        refused, stored = await asyncio.gather(
            observer.message("no", context=where), writer.message("yes", context=where)
        )
        heard = await observer.receive("message.created")
    assert refused["problem"]["status"] == 403
    assert stored["seq"] == heard["seq"] == 1


def channel_of(host: Host, kind: str, name: str) -> object:
    return host.http.get(f"/api/contexts/{kind}/{name}").raise_for_status().json()["channel"]


@asynccontextmanager
async def person_at(server: Server, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return somebody's HTTP client."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


async def by_socket(socket: Chat, name: str) -> tuple[str, int]:
    """Send over a socket; returns the place."""
    ack = await socket.message("by socket", context={"type": "booking", "id": name})
    return ack["channel_id"], ack["seq"]


async def by_http(client: httpx.AsyncClient, name: str, n: int) -> tuple[str, int]:
    """Send over HTTP; returns the place."""
    response = await client.post(
        f"/api/contexts/booking/{name}/messages", json={"client_id": f"h{n}", "content": "by HTTP"}
    )
    assert response.status_code == 201, response.text
    return response.json()["channel_id"], response.json()["seq"]
