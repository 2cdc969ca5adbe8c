"""A push service on loopback, as browsers' vendors run them, and browsers that are subscribed to it.

It holds every message against RFC 8030 (TTL, Topic, Urgency), RFC 8188 (encoding, size) and RFC 8292 (the sender's
token), and answers 4xx where a message isn't as it should be. Browsers decrypt what they get. What it does with the
next message to a browser can be scripted.
"""

import asyncio
import base64
import json
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import http_ece
import jwt
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_BYTES = 4096
DAY_S = 86_400
URGENCIES = {"very-low", "low", "normal", "high"}
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
CREDENTIALS = re.compile(r"vapid t=(?P<token>[^,\s]+), ?k=(?P<key>[A-Za-z0-9_-]{87})")


class Push(msgspec.Struct, frozen=True):
    """A message that was taken, as the browser reads it."""

    headers: Mapping[str, str]
    payload: dict[str, Any]
    claims: dict[str, Any]


class Browser:
    """A subscribed browser: only it can read what is sent to it."""

    def __init__(self, endpoint: str, server_key: str | None) -> None:
        self.endpoint = endpoint
        self.server_key = server_key
        """The `applicationServerKey` that it subscribed to; None: whatever comes first."""
        self.heard: list[Push] = []
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._auth = secrets.token_bytes(16)

    def to_json(self) -> dict[str, Any]:
        """Return what `PushSubscription.toJSON()` gives."""
        point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": base64url(point), "auth": base64url(self._auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def decrypt(self, body: bytes) -> bytes:
        """Read what was encrypted for this browser (RFC 8291)."""
        return bytes(http_ece.decrypt(body, private_key=self._private, auth_secret=self._auth, version="aes128gcm"))


Behaviour: TypeAlias = Callable[["PushServer", web.Request], Awaitable[web.StreamResponse | None]]
"""What is done with a message, before it is looked at; None: go on as usual."""


class PushServer:
    """The service; `requests` counts what came in, `faults` tells what was wrong with any of it."""

    def __init__(self) -> None:
        self.url = ""
        self.browsers: dict[str, Browser] = {}
        self.requests = 0
        self.faults: list[str] = []
        self.script: deque[Behaviour] = deque()
        self.gone: set[str] = set()
        self._runner: web.AppRunner | None = None

    def subscribe(self, server_key: str | None = None) -> Browser:
        """Let a new browser subscribe."""
        name = secrets.token_urlsafe(24)
        self.browsers[name] = Browser(f"{self.url}/push/{name}", server_key)
        return self.browsers[name]

    def unsubscribe(self, browser: Browser) -> None:
        """Let it go: from now on 410."""
        self.gone.add(browser.endpoint)

    async def start(self) -> None:
        """Listen."""
        application = web.Application()
        application.router.add_post("/push/{name}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if self.script and (scripted := await self.script.popleft()(self, request)) is not None:
            return scripted
        browser = self.browsers.get(request.match_info["name"])
        if browser is None:
            return self._refuse(404, "no such subscription")
        if browser.endpoint in self.gone:
            return web.Response(status=410)
        return self._deliver(browser, request, await request.read())

    def _deliver(self, browser: Browser, request: web.Request, body: bytes) -> web.Response:
        fault = _fault_of(request.headers, body)
        if fault is not None:
            return self._refuse(*fault)
        try:
            key, claims = self._sender(request.headers["Authorization"])
            payload = json.loads(browser.decrypt(body))
        except Exception as error:  # noqa: BLE001 - whatever is wrong is the finding
            return self._refuse(401, f"{type(error).__name__}: {error}")
        if browser.server_key not in {None, key}:
            return web.json_response({"reason": "VapidPkHashMismatch"}, status=403)
        browser.server_key = key
        browser.heard.append(Push(dict(request.headers), payload, claims))
        return web.Response(status=201, headers={"Location": f"{self.url}/message/{secrets.token_urlsafe(8)}"})

    def _sender(self, authorization: str) -> tuple[str, dict[str, Any]]:
        """Return who sends, by a token that PyJWT verifies: not the library that made it."""
        match = CREDENTIALS.fullmatch(authorization)
        assert match, "not VAPID credentials"
        point = base64.urlsafe_b64decode(match["key"] + "=")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims = jwt.decode(
            match["token"], key, algorithms=["ES256"], audience=self.url, options={"require": ["exp", "aud", "sub"]}
        )
        assert claims["exp"] <= time.time() + DAY_S, "expires too late"
        assert claims["sub"].startswith(("mailto:", "https://")), "nobody to reach"
        return match["key"], claims

    def _refuse(self, status: int, fault: str) -> web.Response:
        self.faults.append(fault)
        return web.Response(status=status, text=fault)


def _fault_of(headers: Mapping[str, str], body: bytes) -> tuple[int, str] | None:
    if not re.fullmatch(r"\d{1,8}", headers.get("TTL", "")):
        return 400, "no TTL"
    if "Topic" in headers and not TOPIC.fullmatch(headers["Topic"]):
        return 400, "bad Topic"
    if headers.get("Urgency", "normal") not in URGENCIES:
        return 400, "bad Urgency"
    if headers.get("Content-Encoding") != "aes128gcm":
        return 400, "bad encoding"
    return (413, f"{len(body)} bytes") if len(body) > MAX_BYTES else None


def answer(status: int, body: str = "", **headers: str) -> Behaviour:
    """Answer so, without taking the message: `answer(429, retry_after="5")`."""

    async def behaviour(_server: PushServer, _request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return web.Response(status=status, text=body, headers=named)

    return behaviour


async def hang(_server: PushServer, _request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3600)
    raise AssertionError("the server stopped long ago")


async def cut_off(_server: PushServer, request: web.Request) -> web.StreamResponse:
    """Reset the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def carry_on(_server: PushServer, _request: web.Request) -> None:
    """As usual."""


def base64url(data: bytes) -> str:
    """As browsers write it: without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@asynccontextmanager
async def push_server() -> AsyncIterator[PushServer]:
    """Run a server on a free port."""
    server = PushServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
