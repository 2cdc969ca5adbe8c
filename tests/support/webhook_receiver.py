"""A host's endpoint: checks each signature with the Standard Webhooks package, notes what came, and answers as told."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

Behaviour: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Received(msgspec.Struct, frozen=True):
    """A request, with the secrets that it is signed with."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    signed_by: frozenset[str]

    @property
    def id(self) -> str:
        """The `webhook-id`."""
        return self.headers["webhook-id"]

    @property
    def payload(self) -> Any:
        """The body."""
        return json.loads(self.body)

    def verifies(self, secret: str) -> bool:
        """Whether a host with this secret takes it, by the package, now."""
        try:
            Webhook(secret).verify(self.body, dict(self.headers))
        except WebhookVerificationError:
            return False
        return True


class WebhookReceiver:
    """The server; `came` has every request in order, `taken` those that were answered with 2xx."""

    def __init__(self) -> None:
        self.came: list[Received] = []
        self.taken: list[Received] = []
        self.secrets: set[str] = set()
        self.answers: dict[str, Behaviour] = {}
        self.under_way: Counter[str] = Counter()
        self.most_at_once: dict[str, int] = defaultdict(int)
        self.url = ""
        self._runner: web.AppRunner | None = None

    def at(self, path: str) -> list[Received]:
        """Return what came to a path."""
        return [one for one in self.came if one.path == path]

    def numbers(self, path: str | None = None) -> Counter[Any]:
        """Return how often the events of each `seq` were taken."""
        return Counter(one.payload["data"]["seq"] for one in self.taken if path in {None, one.path})

    def forged(self) -> list[Received]:
        """Return what is signed by none of the secrets that are known."""
        return [one for one in self.came if not one.signed_by]

    async def until(self, met: Callable[["WebhookReceiver"], object], within_s: float = 30) -> None:
        """Wait for something.

        Raises:
            TimeoutError: it doesn't happen.
        """
        async with asyncio.timeout(within_s):
            while not met(self):
                await asyncio.sleep(0.01)

    async def start(self, port: int = 0) -> None:
        """Listen."""
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self._receive)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        received = Received(request.path, dict(request.headers), body, self._signed_by(request, body))
        self.came.append(received)
        self.under_way[request.path] += 1
        self.most_at_once[request.path] = max(self.most_at_once[request.path], self.under_way[request.path])
        try:
            response = await self.answers.get(request.path, answer(204))(request)
        finally:
            self.under_way[request.path] -= 1
        if 200 <= response.status < 300 and request.transport is not None:  # else nobody is there to hear of it
            self.taken.append(received)
        return response

    def _signed_by(self, request: web.Request, body: bytes) -> frozenset[str]:
        """By the package's own signatures, whatever the time is here."""
        if "webhook-timestamp" not in request.headers:
            return frozenset()
        at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        found = request.headers["webhook-signature"].split(" ")
        name = request.headers["webhook-id"]
        return frozenset(secret for secret in self.secrets if Webhook(secret).sign(name, at, body.decode()) in found)


def answer(status: int, text: str = "", **headers: str) -> Behaviour:
    """Answer with this: `answer(503, Retry_After="7")`."""

    async def behaviour(_request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text or None, headers=named)

    return behaviour


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave in these ways, one after the other; the last one stays."""
    left = list(behaviours)

    async def behaviour(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return behaviour


def dawdle(seconds: float, status: int = 204) -> Behaviour:
    """Take your time."""

    async def behaviour(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.Response(status=status)

    return behaviour


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Cut the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=500)


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[WebhookReceiver]:
    """Run an endpoint on a free port."""
    receiver = WebhookReceiver()
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
