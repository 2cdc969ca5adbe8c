"""Logs hold no token, ticket, key, telephone number, address or word that people wrote; not even at debug level."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import websockets

from kernel import embedded
from tests.support.chat import chat
from tests.support.servers import SECRET, Host, Server, running_server
from tests.support.tokens import token, wrong_tokens
from tests.support.twilio_server import ACCOUNT, SENDER, TOKEN, TwilioServer, twilio_server

PHONE, BAD_PHONE = "+4915112345678", "+4915187654321000"
EMAIL = "ben.private@example.org"
WORDS = {
    name: f"geheim-{uuid4().hex}"
    for name in ("text", "socket text", "title", "metadata", "name", "refused", "nul", "invitation")
}


class Secrets:
    """Everything that must not be found, by what it is."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def keep(self, what: str, value: str) -> str:
        """Remember a secret and return it."""
        self.known[what] = value
        return value

    def found_in(self, log: str) -> set[str]:
        """Return what of it is in a log, whole or in a telling part."""
        return {what for what, value in self.known.items() if any(part in log for part in _parts(value))}


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret and what would give it away: numbers without their plus, the end of a long token."""
    yield secret
    yield secret.removeprefix("+")
    if len(secret) > 60:
        yield secret[-30:]
        yield secret[10:60]


async def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def journey(server: Server, data_dir: Path, twilio: TwilioServer) -> Secrets:
    """Do all that Parley can, and all that can go wrong; return what must be in no log."""
    secrets = Secrets()
    for what, value in WORDS.items():
        secrets.keep(what, value)
    for kind, value in wrong_tokens().items():
        if len(value) > 20 and kind != "enormous":
            secrets.keep(f"token: {kind}", value)
    secrets.keep("phone", PHONE), secrets.keep("bad phone", BAD_PHONE), secrets.keep("e-mail", EMAIL)
    secrets.keep("secret", SECRET), secrets.keep("Twilio's token", TOKEN)
    host = Host(server, secrets.keep("API key", server.cli("keys", "create", "tests")))
    with host.http:
        ana = secrets.keep("ana's token", host.user("ana"))
        ben = secrets.keep("ben's token", host.user("ben", phone=PHONE, email=EMAIL, display_name=WORDS["name"]))
        ticket = secrets.keep("ticket", await _conversation(host, ana, ben))
        _invitations(host, ben, secrets.keep("pin", _pin(host, ana)))
        await until(lambda: twilio.sent)
        _refusals(host, ana, ticket)
        await _sockets(server, secrets, ana, ticket)
        await _internal_errors(host, data_dir, ana)
    return secrets


def _bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def _pin(host: Host, bearer: str) -> str:
    with host.person(bearer) as http:
        return str(http.get("/api/users/me").raise_for_status().json()["connect_pin"])


def _invitations(host: Host, bearer: str, pin: str) -> None:
    host.user("cleo")
    with host.person(bearer) as http:
        body = {"connect_pin": pin, "message": WORDS["invitation"], "metadata": {"note": WORDS["metadata"]}}
        assert http.post("/api/invites", json=body).status_code == 201
        assert http.post("/api/invites", json=body).status_code == 409
        assert http.post("/api/invites", json=body | {"message": WORDS["refused"] + "\0"}).status_code == 400
        assert http.post("/api/invites/bulk", json={"invites": [body, {"connect_pin": [pin]}]}).status_code == 200
        assert http.post("/api/invites", json={"connect_pin": pin + "\0"}).status_code == 400


async def _conversation(host: Host, ana: str, ben: str) -> str:
    roles = {"ana": "worker", "ben": "supervisor"}
    host.context("b1", roles, title=WORDS["title"], metadata={"note": WORDS["metadata"]})
    with host.person(ana) as http:
        body = {"client_id": "1", "content": WORDS["text"]}
        http.post("/api/contexts/booking/b1/messages", json=body).raise_for_status()
        conflict = http.post("/api/contexts/booking/b1/messages", json=body | {"content": WORDS["refused"]})
        assert conflict.status_code == 409
        return str(http.post("/api/ws/tickets").raise_for_status().json()["ticket"])


def _refusals(host: Host, ana: str, ticket: str) -> None:
    body = {"username": "zoe", "display_name": WORDS["name"], "phone": BAD_PHONE, "email": EMAIL}
    assert host.http.put("/api/users/zoe", json=body).status_code == 400
    assert host.http.put("/api/users/zoe", json=body | {"phone": PHONE, "username": "ana"}).status_code == 409
    assert host.http.put(f"/api/users/{EMAIL}%00{ticket}", json=body).status_code == 400
    host.http.post("/api/users/batch", json={"users": [body, {**body, "user_id": "x\0"}]})
    host.http.post("/api/tokens", json={"user_id": "ana"}, headers={"Idempotency-Key": WORDS["refused"]})
    for value in (*wrong_tokens().values(), ticket):
        assert httpx.get(f"{host.server.url}/api/users/me", headers=_bearer(value)).status_code == 401
    httpx.get(f"{host.server.url}/nothing/{ana}", params={"token": ana, "phone": PHONE})
    with host.person(ana) as http:
        for content in (WORDS["nul"] + "\0", WORDS["refused"] * 200):
            http.post("/api/contexts/booking/b1/messages", json={"client_id": "2", "content": content})
        http.post("/api/contexts/booking/b1/messages", content=b'{"content": "' + WORDS["refused"].encode())
        http.post(f"/webhooks/twilio/inbound?{WORDS['refused']}", data={"From": PHONE, "Body": WORDS["refused"]})


async def _sockets(server: Server, secrets: Secrets, ana: str, ticket: str) -> None:
    async with websockets.connect(f"{server.ws_url}?token={ana}", proxy=None) as socket:
        await socket.recv()
    async with websockets.connect(f"{server.ws_url}?ticket={ticket}", proxy=None) as socket:
        await socket.recv()
    for value in (*wrong_tokens().values(), ticket):
        query = f"?ticket={value}" if value == ticket else ""
        with suppress(websockets.ConnectionClosed):
            async with websockets.connect(server.ws_url + query, proxy=None) as socket:
                await socket.send(json.dumps({"type": "auth", "token": value}))
                await socket.recv()
    async with chat(server.ws_url, ana) as socket:
        context = {"type": "booking", "id": "b1"}
        assert (await socket.message(WORDS["socket text"], context=context))["type"] == "ack"
        assert (await socket.message(WORDS["nul"] + "\0", context=context))["type"] == "error"
        await socket.socket.send('{"type": "message.send", "content": "' + WORDS["refused"])
        await socket.send(type="auth", token=secrets.keep("refreshed token", token()))
        await socket.receive("auth.refreshed")
        await socket.socket.send(b'{"type": "ping", "ref": "\xff' + WORDS["refused"].encode() + b'"}', text=True)
        await socket.closed()


async def _internal_errors(host: Host, data_dir: Path, ana: str) -> None:
    """Let the database choke, on every path, with messages that quote what it choked on."""
    quoting = """
        CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'no: %', NEW USING DETAIL = row_to_json(NEW)::text, ERRCODE = '22000'; END $$;
        CREATE TRIGGER quote BEFORE INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION quote();
        CREATE TRIGGER quote BEFORE INSERT OR UPDATE ON identity_users FOR EACH ROW EXECUTE FUNCTION quote();
        CREATE TRIGGER quote BEFORE INSERT OR UPDATE ON chat_contexts FOR EACH ROW EXECUTE FUNCTION quote();
        CREATE TRIGGER quote BEFORE INSERT ON chat_socket_tickets FOR EACH ROW EXECUTE FUNCTION quote();
        CREATE TRIGGER quote BEFORE INSERT ON contact_invites FOR EACH ROW EXECUTE FUNCTION quote();
    """
    with embedded.running(data_dir) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(quoting)
        await connection.close()
    body = {"username": "new", "display_name": WORDS["name"], "phone": PHONE, "email": EMAIL}
    wanted = {"participants": [], "title": WORDS["title"], "metadata": {"a": WORDS["metadata"]}}
    answers = [host.http.put("/api/users/new", json=body), host.http.put("/api/contexts/booking/b2", json=wanted)]
    with host.person(ana) as http:
        answers.append(http.post("/api/ws/tickets"))
        answers.append(http.post("/api/invites", json={"user_id": "cleo", "message": WORDS["invitation"]}))
        answers.append(
            http.post("/api/contexts/booking/b1/messages", json={"client_id": "3", "content": WORDS["refused"]})
        )
    assert [answer.status_code for answer in answers] == [500] * 5, [answer.text for answer in answers]


async def logs_of(tmp_path: Path, variant: str | None = None) -> tuple[Secrets, dict[str, str]]:
    """Run the journey on a server that logs all it can; return the secrets and what each log holds."""
    data_dir = tmp_path / "data"
    async with twilio_server() as twilio:
        settings = {
            "DATABASE_URL": "",
            "PARLEY_LOG_LEVEL": "debug",
            "PARLEY_WS_QUERY_TOKEN": "true",
            "PARLEY_SMS_DELAY_S": "0.1",
            "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00",
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM": SENDER,
            "TWILIO_API_URL": twilio.url,
        }
        with running_server("", data_dir, variant=variant, **settings) as server:
            secrets = await journey(server, data_dir, twilio)
    (postgres,) = data_dir.rglob("postgresql.log")
    return secrets, {"server": server.log.read_text(), "PostgreSQL": postgres.read_text()}


async def test_no_log_tells_a_secret(tmp_path: Path) -> None:
    secrets, logs = await logs_of(tmp_path)
    assert len(secrets.known) > 25
    for name, log in logs.items():
        assert secrets.found_in(log) == set(), name
    lines = [json.loads(line) for line in logs["server"].splitlines()]
    assert sum(line["event"] == "request" for line in lines) > 30
    assert sum("exception" in line for line in lines) >= 3
    assert "ready to accept connections" in logs["PostgreSQL"]


async def test_the_checker_finds_a_line_that_tells(tmp_path: Path) -> None:
    """The broken variant: frames are logged."""
    secrets, logs = await logs_of(tmp_path, variant="talkative_log")
    assert secrets.found_in(logs["server"]) >= {"socket text", "nul", "refreshed token"}
