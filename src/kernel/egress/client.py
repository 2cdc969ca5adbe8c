"""The one HTTP client for URLs that others chose.

Overview: `check` when such a URL is named, `post` when it is called. Both go by one `Policy`, and `post` looks again:
at the URL, at every address that its name leads to, and at the address of every socket before it connects.

Guarantees: nothing is connected to that the policy doesn't admit. Redirects are not followed, proxies and credentials
of the environment not used, cookies not kept, at most `MAX_BODY_BYTES` of an answer read, and not decompressed. One
call is one request at most. Each call ends within `timeout_s`, and what it raises says whether anything may have been
sent. URLs never reach a log nor the text of an error.
"""

import asyncio
import ssl
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from kernel.egress.policy import NotAllowed, Place, Policy
from kernel.egress.resolver import ForbiddenAddress, GuardedResolver, guarded_socket
from kernel.errors import malformed_field

TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
LOOK_UP_TIMEOUT_S = 3.0
MAX_BODY_BYTES = 64 * 1024
MAX_CONNECTIONS = 100


class NotSent(Exception):
    """No connection came about, so certainly nothing was sent. `reason`: a word for a ledger, without addresses."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unclear(Exception):
    """The request may have been heard, but no status came back. `reason`: a word for a ledger, without addresses."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status is certain, the body may be cut short."""

    status: int
    headers: Mapping[str, str]
    """Names as they came, found in any case."""
    body: bytes
    complete: bool
    """False when there was more than `MAX_BODY_BYTES`, or it broke off."""


class Egress:
    """Calls what the policy admits. `close` it in the end; it may be used from one event loop."""

    def __init__(
        self,
        policy: Policy,
        *,
        timeout_s: float = TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        max_connections: int = MAX_CONNECTIONS,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Calls beyond `max_connections` wait, within their time. `resolver` and `tls` replace the system's own."""
        self._policy = policy
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=connect_timeout_s)
        self._max_connections = max_connections
        self._inner = resolver
        self._tls = tls
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def check(self, url: str, pointer: str) -> None:
        """Check a URL that somebody names in the field `pointer`.

        A host that isn't listed has to be known by now, and to lead to public addresses only.

        Raises:
            MalformedError: it may not be called; says why, without repeating it.
        """
        try:
            place = self._policy.check(url)
            if self._policy.anywhere and not self._policy.trusts(place):
                await self._look_up(place)
        except NotAllowed as error:
            raise malformed_field(pointer, str(error)) from None

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one POST.

        Raises:
            NotAllowed: the URL, or an address that it leads to by now, isn't admitted; nothing was sent.
            NotSent: no connection came about; nothing was sent.
            Unclear: it may have been sent.
        """
        place = self._policy.check(url)
        connected = SimpleNamespace(yes=False)
        try:
            return await self._post(place, url, body, headers, connected)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ForbiddenAddress):
                raise NotAllowed("must lead to a public address") from None
            raise NotSent(_reason(error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise (Unclear if connected.yes else NotSent)(_reason(error)) from None

    async def close(self) -> None:
        """Close all connections. May be called twice; a later call opens new ones."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def _post(
        self, place: Place, url: str, body: bytes, headers: Mapping[str, str], connected: SimpleNamespace
    ) -> Answer:
        session = self._session(trusted=self._policy.trusts(place))
        request = session.post(
            URL(url, encoded=True),
            data=body,
            headers={"Accept-Encoding": "identity", **headers},
            allow_redirects=False,
            trace_request_ctx=connected,
        )
        async with request as response:
            content, complete = await _read(response)
            return Answer(response.status, response.headers, content, complete)

    async def _look_up(self, place: Place) -> None:
        guard = GuardedResolver(self._resolver(), self._policy.admits)
        try:
            async with asyncio.timeout(LOOK_UP_TIMEOUT_S):
                await guard.resolve(place.host, place.port)
        except ForbiddenAddress:
            raise NotAllowed("must lead to a public address") from None
        except OSError:  # TimeoutError is one
            raise NotAllowed("has a host that can't be found") from None

    def _session(self, *, trusted: bool) -> aiohttp.ClientSession:
        # Connections want a running loop, so they are made by the first call; trusted ones are kept apart.
        if trusted not in self._sessions:
            self._sessions[trusted] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._tls or True, limit=self._max_connections, **({} if trusted else self._guards())
                ),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_tracing()],
                auto_decompress=False,
                trust_env=False,
            )
        return self._sessions[trusted]

    def _guards(self) -> dict[str, Any]:
        admits = self._policy.admits
        return {
            "resolver": GuardedResolver(self._resolver(), admits),
            "use_dns_cache": False,
            "socket_factory": guarded_socket(admits),
        }

    def _resolver(self) -> AbstractResolver:
        return self._inner or ThreadedResolver()


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """Return as much of the body as is wanted; by then the status counts, whatever becomes of the rest."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return bytes(body[:MAX_BODY_BYTES]), False
    except (aiohttp.ClientError, OSError, ValueError):
        return bytes(body), False
    return bytes(body), True


def _tracing() -> aiohttp.TraceConfig:
    """Return what notes on a request that it has a connection: from there on it may have been heard."""

    async def note(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.yes = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(note)
    tracing.on_connection_reuseconn.append(note)
    return tracing


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls_failed"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no_connection"
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return "connection_lost"
    return "unexpected_answer"
