"""A Twilio-shaped HTTP server on loopback: takes SMS, fails as told, and sends signed callbacks.

It speaks as much of Twilio's API as the package uses to create messages, and refuses whatever isn't documented there
(`twilio_api`). What it does with the next request is scripted by behaviours; without a script it accepts everything.
"""

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import aiohttp
import msgspec
from aiohttp import web
from twilio.request_validator import RequestValidator
from yarl import URL

from tests.support.twilio_api import Refusal, refusal

ACCOUNT = "AC" + "0" * 32
TOKEN = "an-auth-token-for-tests"
SENDER = "+15005550006"


class Sms(msgspec.Struct, frozen=True):
    """A request to send an SMS, and the id of the message if one was made of it."""

    form: Mapping[str, str]
    sid: str | None

    @property
    def to(self) -> str:
        """The recipient's number."""
        return self.form["To"]

    @property
    def body(self) -> str:
        """The text."""
        return self.form["Body"]

    @property
    def callback(self) -> str:
        """Where to report, with what makes the report ours."""
        return self.form["StatusCallback"]

    @property
    def delivery_id(self) -> UUID:
        """The delivery named in the callback."""
        return UUID(parse_qs(urlsplit(self.callback).query)["delivery"][0])


Behaviour: TypeAlias = Callable[["TwilioServer", web.Request, Mapping[str, str]], Awaitable[web.StreamResponse]]


class TwilioServer:
    """The server; `requests` holds every attempt to send in order, `sent` those that became messages."""

    def __init__(self) -> None:
        self.requests: list[Sms] = []
        self.malformed: list[Refusal] = []
        """Requests that were refused for what they said: a bug of ours."""
        self.script: deque[Behaviour] = deque()
        self.default: Behaviour = accept
        self.busy = asyncio.Event()
        """Set when a request has come in."""
        self.url = ""
        self.leads_to: dict[str, str] = {}
        """Where public URLs lead, as a proxy would know."""
        self._runner: web.AppRunner | None = None
        self._dying: asyncio.Task[None] | None = None

    @property
    def sent(self) -> list[Sms]:
        """Requests of which a message was made."""
        return [sms for sms in self.requests if sms.sid is not None]

    def settings(self, **more: object) -> dict[str, object]:
        """Return the settings that lead Parley here, as fast as it can and whatever it costs."""
        return {
            "sms_per_s": 0,
            "sms_max_per_day": 0,
            "sms_max_per_recipient_per_day": 0,
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": TOKEN,
            "twilio_from": SENDER,
            "twilio_api_url": self.url,
            **more,
        }

    def take(self, form: Mapping[str, str]) -> Sms:
        """Make a message of a request."""
        self.requests.append(Sms(form, f"SM{uuid4().hex}"))
        return self.requests[-1]

    def refuse(self, form: Mapping[str, str]) -> None:
        """Note a request of which no message is made."""
        self.requests.append(Sms(form, None))

    async def report(self, sms: Sms, status: str, *, code: int | None = None) -> int:
        """Send the status callback of a message, signed. Returns the HTTP status."""
        form = {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "MessageSid": sms.sid or "", "SmsSid": sms.sid or ""}
        form |= {"MessageStatus": status, "SmsStatus": status, "To": sms.to, "From": SENDER}
        return (await self.post(sms.callback, form | ({"ErrorCode": str(code)} if code else {})))[0]

    async def post(self, url: str, form: Mapping[str, str]) -> tuple[int, str]:
        """Post a form to `url`, signed for it. Returns status and body."""
        target = url
        for public, real in self.leads_to.items():
            target = target.replace(public, real)
        headers = {"X-Twilio-Signature": signature(url, form)}
        async with (
            aiohttp.ClientSession() as http,
            http.post(URL(target, encoded=True), data=form, headers=headers) as response,
        ):
            return response.status, await response.text()

    async def start(self, port: int = 0) -> None:
        """Listen."""
        application = web.Application()
        application.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", self._create)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _create(self, request: web.Request) -> web.StreamResponse:
        posted = await request.post()
        form = {name: str(value) for name, value in posted.items()}
        expected = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        self.busy.set()
        if request.match_info["account"] != ACCOUNT or request.headers.get("Authorization") != f"Basic {expected}":
            return await refuse(401, 20003)(self, request, form)
        wrong = refusal({name: [str(value) for value in posted.getall(name)] for name in posted})
        if wrong is not None:
            self.malformed.append(wrong)
            self.refuse(form)
            return web.json_response(wrong.body(), status=wrong.status)
        return await (self.script.popleft() if self.script else self.default)(self, request, form)


async def accept(server: TwilioServer, _request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
    """Take the message."""
    return _created(server.take(form))


def refuse(status: int, code: int, *, retry_after: str | None = None) -> Behaviour:
    """Answer with an error of Twilio's: `refuse(429, 20429)`, `refuse(400, 21211)`."""

    async def behaviour(server: TwilioServer, _request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        server.refuse(form)
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        body = Refusal(code, f"Refused: {form.get('To')}", status).body()
        return web.json_response(body, status=status, headers=headers)

    return behaviour


def break_down(*, taken: bool, status: int = 500) -> Behaviour:
    """Answer with a server error, having taken the message or not: the client can't know."""

    async def behaviour(server: TwilioServer, _request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        _note(server, form, taken=taken)
        return web.Response(status=status, text="<html>Oops</html>", content_type="text/html")

    return behaviour


def hang(*, taken: bool) -> Behaviour:
    """Never answer."""

    async def behaviour(server: TwilioServer, _request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        _note(server, form, taken=taken)
        await asyncio.sleep(3600)
        raise AssertionError("the server stopped long ago")

    return behaviour


def dawdle(seconds: float) -> Behaviour:
    """Take the message, and take your time to say so."""

    async def behaviour(server: TwilioServer, _request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        sms = server.take(form)
        await asyncio.sleep(seconds)
        return _created(sms)

    return behaviour


def cut_off(*, taken: bool, midway: bool = True) -> Behaviour:
    """Reset the connection, in the middle of the answer or before it."""

    async def behaviour(server: TwilioServer, request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        _note(server, form, taken=taken)
        response = web.StreamResponse(status=201, headers={"Content-Length": "1000"})
        if midway:
            await response.prepare(request)
            await response.write(b'{"sid": "SM')
        assert request.transport is not None
        request.transport.abort()
        return response

    return behaviour


async def answer_and_die(server: TwilioServer, request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
    """Take the message, say so, and be gone for whoever comes next."""
    response = _created(server.take(form))
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    server._dying = asyncio.create_task(server.stop())
    return response


def answer_nonsense(text: str) -> Behaviour:
    """Say that the message was made, in words nobody understands."""

    async def behaviour(server: TwilioServer, _request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        server.take(form)
        return web.Response(status=201, text=text, content_type="application/json")

    return behaviour


def signature(url: str, form: Mapping[str, str], token: str = TOKEN) -> str:
    """Sign a webhook as Twilio does."""
    return str(RequestValidator(token).compute_signature(url, form))


@asynccontextmanager
async def twilio_server() -> AsyncIterator[TwilioServer]:
    """Run a server on a free port."""
    server = TwilioServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _created(sms: Sms) -> web.Response:
    body = {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": sms.body,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "num_media": "0",
        "num_segments": "1",
        "sid": sms.sid,
        "status": "queued",
        "to": sms.to,
    }
    return web.json_response(body, status=201)


def _note(server: TwilioServer, form: Mapping[str, str], *, taken: bool) -> None:
    if taken:
        server.take(form)
    else:
        server.refuse(form)
