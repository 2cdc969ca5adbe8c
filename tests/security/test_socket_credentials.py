"""Credentials of every wrong kind at both sockets: the documented close code, and nothing before it."""

import copy
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.support.chat import Chat, chat
from tests.support.servers import Host, Server
from tests.support.tokens import token, wrong_tokens

NOT_AUTHENTICATED, BAD_ORIGIN, DEACTIVATED, TOO_LATE, TOO_MANY = 4401, 4403, 4404, 4408, 4429
WRONG = wrong_tokens()


@pytest.fixture(scope="module", params=["/ws/chat", "/ws/notifications"])
def server(server: Server, request: pytest.FixtureRequest) -> Server:
    return at(server, request.param)


def at(server: Server, path: str) -> Server:
    """Return a server as the one on whose other socket the tests are."""
    other = copy.copy(server)
    other.ws_path = path
    return other


@pytest.fixture(scope="module", autouse=True)
def ana(host: Host) -> str:
    return host.user("ana")


@asynccontextmanager
async def connected(server: Server, query: str = "", **options: Any) -> AsyncIterator[Chat]:
    """Connect without saying who one is."""
    async with websockets.connect(server.ws_url + query, proxy=None, compression=None, **options) as socket:
        yield Chat(socket)


async def end_of(socket: Chat) -> int:
    """Return the close code; nothing was told before it, and no secret in its reason."""
    code = await socket.closed()
    assert socket.seen == []
    assert len(reason(socket.socket).encode()) <= 123
    return code


def reason(socket: ClientConnection) -> str:
    """Return why the socket was closed."""
    return socket.close_reason or ""


async def refused(server: Server, frame: object, *, query: str = "") -> tuple[int, str]:
    """Return code and reason after this first frame; None: say nothing, text and bytes go as they are."""
    async with connected(server, query) as socket:
        if frame is not None:
            await socket.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
        return await end_of(socket), reason(socket.socket)


def ticket_of(host: Host, bearer: str) -> str:
    """Buy a ticket."""
    with host.person(bearer) as http:
        return str(http.post("/api/ws/tickets").raise_for_status().json()["ticket"])


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_token_in_the_first_frame(server: Server, kind: str) -> None:
    code, why = await refused(server, {"type": "auth", "token": WRONG[kind]})
    assert code == NOT_AUTHENTICATED
    assert WRONG[kind] not in why


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "ping"},
        {"type": "auth"},
        {"type": "auth", "token": None},
        {"type": "auth", "token": 5},
        {"type": "auth", "token": "", "more": 1},
        {
            "type": "message.send",
            "ref": "1",
            "client_id": "1",
            "content": "?",
            "context": {"type": "booking", "id": "1"},
        },
        "",
        "{",
        "null",
        "[" * 5_000,
        b"\x00",
        json.dumps({"type": "auth", "token": "x"}).encode(),
    ],
    ids=str,
)
async def test_a_first_frame_that_is_no_authentication(server: Server, frame: object) -> None:
    code, _ = await refused(server, frame)
    assert code == NOT_AUTHENTICATED


async def test_who_says_nothing_is_let_go(server: Server) -> None:
    started = time.monotonic()
    code, why = await refused(server, None)
    assert code == TOO_LATE
    assert "1 s" in why
    assert time.monotonic() - started < 5


async def test_an_api_key_is_for_hosts(server: Server, host: Host) -> None:
    key = host.http.headers["Authorization"].removeprefix("Bearer ")
    code, why = await refused(server, {"type": "auth", "token": key})
    assert code == NOT_AUTHENTICATED
    assert key not in why


async def test_an_auditor_only_reads_audits(server: Server, host: Host) -> None:
    auditor = host.token("ana", role="auditor")
    assert (await refused(server, {"type": "auth", "token": auditor}))[0] == NOT_AUTHENTICATED
    with host.person(auditor) as http:
        assert http.post("/api/ws/tickets").status_code == 403
        assert http.get("/api/users/me").status_code == 403


async def test_who_was_deactivated_is_told_so_before_and_while_connected(server: Server, host: Host) -> None:
    gone = host.user("gone")
    ticket = ticket_of(host, gone)
    async with chat(server.ws_url, gone) as socket:
        host.http.delete("/api/users/gone").raise_for_status()
        assert await socket.closed() == DEACTIVATED
    assert (await refused(server, {"type": "auth", "token": gone}))[0] == DEACTIVATED
    assert (await refused(server, None, query=f"?ticket={ticket}"))[0] == DEACTIVATED


async def test_a_ticket_lets_one_socket_in(server: Server, host: Host, ana: str) -> None:
    ticket = ticket_of(host, ana)
    async with connected(server, f"?ticket={ticket}") as socket:
        assert (await socket.receive("ready"))["user_id"] == "ana"
    code, why = await refused(server, None, query=f"?ticket={ticket}")
    assert code == NOT_AUTHENTICATED
    assert ticket not in why


@pytest.mark.parametrize("ticket", ["", "x", "%00", "%ff%ed%a0%80", "a" * 8_000, "' OR true --"])
async def test_a_wrong_ticket_lets_nobody_in_even_with_a_good_token_after_it(
    server: Server, ana: str, ticket: str
) -> None:
    async with connected(server, f"?ticket={ticket.replace(' ', '%20')}") as socket:
        with suppress(websockets.ConnectionClosed):
            if ticket:
                await socket.send(type="auth", token=ana)
        assert await end_of(socket) == (NOT_AUTHENTICATED if ticket else TOO_LATE)


async def test_an_old_ticket_lets_nobody_in(server: Server, host: Host, ana: str) -> None:
    ticket = ticket_of(host, ana)
    connection = await asyncpg.connect(server.environment["DATABASE_URL"])
    try:
        await connection.execute("UPDATE chat_socket_tickets SET expires_at = now() - interval '1 second'")
    finally:
        await connection.close()
    assert (await refused(server, None, query=f"?ticket={ticket}"))[0] == NOT_AUTHENTICATED


async def test_a_socket_that_a_ticket_opened_ends_with_the_token_that_bought_it(server: Server, host: Host) -> None:
    ticket = ticket_of(host, token(lives_s=3))
    async with connected(server, f"?ticket={ticket}") as socket:
        await socket.receive("ready")
        assert await socket.closed() == NOT_AUTHENTICATED


async def test_a_token_in_the_query_counts_only_where_that_is_allowed(
    server: Server, query_host: Host, ana: str
) -> None:
    assert (await refused(server, None, query=f"?token={ana}"))[0] == TOO_LATE
    bea = query_host.user("bea")
    lenient = at(query_host.server, server.ws_path)
    async with connected(lenient, f"?token={bea}") as socket:
        assert (await socket.receive("ready"))["user_id"] == "bea"
    for wrong in (*(WRONG[kind] for kind in ("expired", "another secret", "unsigned")), "", "%00"):
        if wrong:
            code, why = await refused(lenient, None, query=f"?token={wrong}")
            assert code == NOT_AUTHENTICATED
            assert wrong not in why


async def test_a_socket_ends_with_its_token_unless_it_is_refreshed(server: Server) -> None:
    async with chat(server.ws_url, token(lives_s=2)) as lapsing, chat(server.ws_url, token(lives_s=2)) as kept:
        await kept.send(type="auth", token=token(lives_s=60))
        assert (await kept.receive())["type"] == "auth.refreshed"
        assert await lapsing.closed() == NOT_AUTHENTICATED
        assert "expired" in reason(lapsing.socket)
        await kept.send(type="ping", ref="still here")
        assert await kept.receive() == {"type": "pong", "ref": "still here"}


@pytest.mark.parametrize("kind", ["expired", "another secret", "unsigned", "an unknown person", "not a token"])
async def test_a_wrong_refresh_ends_the_socket(server: Server, ana: str, kind: str) -> None:
    async with chat(server.ws_url, ana) as socket:
        await socket.send(type="auth", token=WRONG[kind])
        assert await socket.closed() == NOT_AUTHENTICATED


async def test_a_refresh_is_for_the_same_person_who_may_still_connect(server: Server, host: Host, ana: str) -> None:
    host.user("ben")
    key = host.http.headers["Authorization"].removeprefix("Bearer ")
    for other in (token("ben"), key, token(role="auditor")):
        async with chat(server.ws_url, ana) as socket:
            await socket.send(type="auth", token=other)
            assert await socket.closed() == NOT_AUTHENTICATED


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8000.evil.example", "HTTP://x"])
async def test_a_page_of_another_origin_is_refused_before_anything_else(server: Server, ana: str, origin: str) -> None:
    async with connected(server, origin=origin) as socket:
        with suppress(websockets.ConnectionClosed):
            await socket.send(type="auth", token=ana)
        assert await end_of(socket) == BAD_ORIGIN


async def test_the_own_origin_and_no_origin_are_let_in(server: Server, ana: str) -> None:
    async with chat(server.ws_url, ana, origin="http://127.0.0.1:8000"), chat(server.ws_url, ana):
        pass


async def test_one_socket_too_many_is_told_the_limit(server: Server, host: Host) -> None:
    many = host.user("many")
    async with chat(server.ws_url, many), chat(server.ws_url, many), chat(server.ws_url, many):
        code, why = await refused(server, {"type": "auth", "token": many})
    assert code == TOO_MANY
    assert "3 sockets" in why
