"""One socket's session, from its authentication to its end: what every endpoint's sessions have in common.

An endpoint's own session derives from this one, says how its frames are decoded, and handles those that only it knows.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from kernel.auth import Authenticator, DeactivatedError, Principal
from kernel.clock import from_unix, rfc3339
from kernel.errors import MalformedError, ParleyError, TooManyRequestsError, UnauthenticatedError, undecodable
from kernel.ratelimit import Bucket
from kernel.settings import FRAME_BURST_S
from realtime.closing import DEACTIVATED, EXPIRED, NOT_UNDERSTOOD, TOO_MANY
from realtime.connection import Connection
from realtime.frames import Auth, AuthRefreshed, ClientFrame, ErrorFrame, Ping, Pong, ServerFrame, frame, ref_of

STRIKES = 5
"""So many frames in a row that can't be understood end the socket."""

F = TypeVar("F", bound=ClientFrame)


class Terms(Protocol):
    """What a session goes by."""

    @property
    def authenticator(self) -> Authenticator:
        """Who checks the token of a refresh."""
        ...

    @property
    def frames_per_s(self) -> float:
        """How many frames a socket may send, in the long run."""
        ...


class Session(Generic[F]):
    """Reacts to the frames of one authenticated connection: `auth` and `ping`, and whatever `_handle` knows.

    Guarantees: the socket ends when its token does, unless it is refreshed for the same person before; whatever is
    wrong with a frame becomes an error frame, and `STRIKES` of them that can't be understood in a row, or too many
    frames, the end of the socket.
    """

    def __init__(self, terms: Terms, decode: Callable[[str], F], connection: Connection, principal: Principal) -> None:
        self._connection = connection
        self._decode = decode
        self._authenticator = terms.authenticator
        self._strikes = 0
        self._frames = Bucket("frames", per_s=terms.frames_per_s, burst=terms.frames_per_s * FRAME_BURST_S)
        self._expiry: asyncio.TimerHandle | None = None
        self._expire_at(principal)

    async def receive(self, text: str | None) -> None:
        """Handle one frame (None: a binary one). Whatever is wrong with it becomes an error frame."""
        try:
            self._frames.take()
        except TooManyRequestsError as error:
            self._connection.close(TOO_MANY, error.detail)
            return
        try:
            received = self._decode(text) if text is not None else _no_text()
            self._strikes = 0
            await self._handle(received)
        except (msgspec.MsgspecError, RecursionError) as error:
            self._strike(undecodable(error), text)
        except MalformedError as error:
            self._strike(error, text)
        except ParleyError as error:
            self._refuse(error, ref_of(text or ""))

    def end(self) -> None:
        """Let go of what still runs."""
        self._forget_expiry()

    async def _handle(self, received: F) -> None:
        """Handle a frame that was understood; derived sessions handle their own first."""
        match received:
            case Ping():
                self._reply(Pong(ref=msgspec.UNSET if received.ref is None else received.ref))
            case Auth():
                await self._refresh(received.token)

    async def _refresh(self, token: str) -> None:
        try:
            principal = await self._authenticator.authenticate(token)
        except DeactivatedError as error:
            self._connection.close(DEACTIVATED, error.title)
            return
        except UnauthenticatedError as error:
            self._connection.close(EXPIRED, error.detail)
            return
        if not principal.takes_part or principal.id != self._connection.user_id:
            self._connection.close(EXPIRED, "a refresh must be for the same user")
            return
        self._expire_at(principal)
        self._reply(AuthRefreshed(expires_at=rfc3339(from_unix(principal.expires_at or time.time()))))

    def _forget_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()

    def _expire_at(self, principal: Principal) -> None:
        self._forget_expiry()
        if principal.expires_at is not None:
            delay = max(0.0, principal.expires_at - time.time())
            self._expiry = asyncio.get_running_loop().call_later(
                delay, self._connection.close, EXPIRED, "the token has expired"
            )

    def _strike(self, error: MalformedError, text: str | None) -> None:
        self._strikes += 1
        self._refuse(error, ref_of(text or ""))
        if self._strikes >= STRIKES:
            self._connection.close(NOT_UNDERSTOOD, "too many frames that could not be understood")

    def _refuse(self, error: ParleyError, ref: str | None) -> None:
        self._reply(ErrorFrame(ref=msgspec.UNSET if ref is None else ref, problem=error.problem()))

    def _reply(self, content: ServerFrame) -> None:
        self._connection.send(frame(content))


def _no_text() -> Any:
    raise MalformedError("Frames are JSON texts; binary ones are not understood")
