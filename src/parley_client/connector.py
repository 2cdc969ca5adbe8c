"""Keeps the client connected: connects, and connects again unless the server said that this makes no sense.

Guarantees: waits with full jitter between attempts, and at least as long as the server asks. A token that was refused
is replaced once, where that is possible. Sockets of its own that the network took, and the server still counts, don't
end it. What ends the client for good ends everything that waits for it, too.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from parley_client.errors import Stopped
from parley_client.frames import Ready
from parley_client.session import Session, Shared
from parley_client.tokens import PASSING_FAILURES

log = logging.getLogger("parley_client")

SUBPROTOCOL = Subprotocol("parley.v1")
PATH = "/ws/chat"
TOKEN_REFUSED = 4401
TOO_MANY = 4429
FINAL = {1009, 4400, 4403, 4404, TOO_MANY}
"""Close codes after which the same would only happen again."""

LOST_SOCKETS_S = 10.0
"""Who was connected and then finds too many sockets has lost some: so long at least the server may take to notice."""

PASSING_STATUSES = {408, 429, 500, 502, 503, 504}
CLOSE_WITHIN_S = 1


class Connector:
    """Runs one session after the other. `joined` is called with each `ready`, before anything else is read."""

    def __init__(self, url: str, shared: Shared, *, heartbeat_s: float, joined: Callable[[Ready], None]) -> None:
        self._url = socket_url(url)
        self._shared = shared
        self._heartbeat_s = heartbeat_s
        self._joined = joined
        self._may_read = asyncio.Event()
        self._session: Session | None = None
        self._attempts = 0
        self._tokens_refused = 0
        self._is_known = self._is_joining = False

    @property
    def is_connected(self) -> bool:
        """Whether frames reach the server now, as far as is known."""
        return self._session is not None

    def changed(self) -> None:
        """There is more, or less, room for records, or more or fewer answers to wait for."""
        stream = self._shared.stream
        if stream.has_room or not stream.is_read or self._shared.outbox.waits:
            self._may_read.set()
        else:
            self._may_read.clear()
        if self._session is not None:
            self._session.catch_up()

    async def run(self) -> None:
        """Stay connected.

        Raises:
            Stopped: the server doesn't want this client as it is.
        """
        while True:
            try:
                await self._once()
            except (*PASSING_FAILURES, ConnectionClosed, InvalidHandshake) as error:
                delay_s = self._shared.backoff.delay_s(self._attempts, self._verdict(error))
                self._attempts += 1
                log.info("not connected (%s); again in %.1f s", _reason(error), delay_s)
                await asyncio.sleep(delay_s)
            except InvalidURI as error:
                raise Stopped(0, str(error)) from None

    async def _once(self) -> None:
        async with self._connected() as socket:
            session = Session(socket, self._shared, self._may_read)
            self._is_joining = True
            ready = await session.authenticate()
            self._is_known, self._is_joining = True, False
            self._attempts = self._tokens_refused = 0
            self._take_in(ready)
            self._session = session
            try:
                self.changed()
                await session.run()
            finally:
                self._session = None
                self._shared.outbox.disconnected()

    def _take_in(self, ready: Ready) -> None:
        reset = self._shared.sequencer.join(ready)
        if reset is not None:
            self._shared.stream.reset(reset)
        self._shared.outbox.connected(ready.limits)
        self._joined(ready)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientConnection]:
        async with connect(
            self._url,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            proxy=None,
            ping_interval=self._heartbeat_s,
            ping_timeout=self._heartbeat_s,
            close_timeout=CLOSE_WITHIN_S,
            max_size=None,
        ) as socket:
            yield socket

    def _verdict(self, error: Exception) -> float:
        """Return how long the server wants to be left alone; raises `Stopped` if for ever."""
        if isinstance(error, InvalidStatus):
            return self._status(error)
        if isinstance(error, ConnectionClosed) and error.rcvd is not None:
            if error.rcvd.code == TOO_MANY and self._is_known and self._is_joining:
                return LOST_SOCKETS_S
            self._code(error.rcvd.code, error.rcvd.reason)
        elif isinstance(error, InvalidHandshake):
            log.debug("an incomplete handshake", exc_info=error)
        return 0.0

    def _status(self, error: InvalidStatus) -> float:
        response = error.response
        if response.status_code not in PASSING_STATUSES:
            raise Stopped(response.status_code, f"no chat socket at {self._url}") from None
        return retry_after_s(response.headers.get("Retry-After"))

    def _code(self, code: int, reason: str) -> None:
        if code == TOKEN_REFUSED:
            self._tokens_refused += 1
        if code in FINAL or self._tokens_refused > self._shared.token.is_renewable:
            raise Stopped(code, reason) from None


def socket_url(url: str) -> str:
    """Return where the chat socket of a server is."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + PATH, "", ""))


def retry_after_s(value: str | None) -> float:
    """Return the seconds that a `Retry-After` header asks for; nothing for a date, which no server of ours sends."""
    try:
        return max(0.0, float(value or 0))
    except ValueError:
        return 0.0


def _reason(error: Exception) -> str:
    """Say what happened without what was said."""
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return f"closed with {error.rcvd.code}"
    return type(error).__name__
