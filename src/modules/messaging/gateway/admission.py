"""Who may have a socket: origin first, then a token in the first frame, a ticket or, where allowed, a query token."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from kernel.auth import Authenticator, DeactivatedError, Principal
from kernel.errors import ParleyError, UnauthenticatedError, UnavailableError
from kernel.settings import Settings
from modules.messaging.gateway import client_frames as client
from modules.messaging.gateway import closing
from modules.messaging.ports import People
from modules.messaging.tickets import Tickets

Receive = Callable[[], Awaitable[Any]]


class RefusedError(Exception):
    """The socket is to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Admission:
    """Decides on new sockets."""

    def __init__(self, *, authenticator: Authenticator, tickets: Tickets, people: People, settings: Settings) -> None:
        self._authenticator = authenticator
        self._people = people
        self._tickets = tickets
        self._query_token = settings.ws_query_token
        self._timeout_s = settings.ws_auth_timeout_s
        own = urlsplit(settings.public_url)
        self._origins = frozenset(settings.allowed_origins) or frozenset({f"{own.scheme}://{own.netloc}"})

    async def admit(self, scope: Any, receive: Receive) -> Principal:
        """Return who is there.

        Raises:
            RefusedError: with the close code of the reason.
        """
        self._check_origin(scope)
        try:
            principal = await self._authenticate(scope, receive)
        except DeactivatedError as error:
            raise RefusedError(closing.DEACTIVATED, error.title) from None
        except UnauthenticatedError as error:
            raise RefusedError(closing.NOT_AUTHENTICATED, error.detail or error.title) from None
        except UnavailableError as error:
            raise RefusedError(closing.OVERLOADED, error.detail) from None
        except ParleyError as error:
            raise RefusedError(closing.NOT_AUTHENTICATED, error.title) from None
        if not principal.takes_part:
            raise RefusedError(closing.NOT_AUTHENTICATED, "sockets are for people who take part")
        return principal

    def _check_origin(self, scope: Any) -> None:
        """Browsers always send Origin; whoever doesn't is no browser, and can't be tricked by a page."""
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if origins and "*" not in self._origins and not set(origins) <= self._origins:
            raise RefusedError(closing.BAD_ORIGIN, "origin not allowed")

    async def _authenticate(self, scope: Any, receive: Receive) -> Principal:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if "ticket" in query:
            principal = await self._tickets.redeem(query["ticket"][0])
            person = (await self._people.find([principal.id])).get(principal.id)
            if person is None or not person.active:
                raise DeactivatedError
            return principal
        if "token" in query and self._query_token:
            return await self._authenticator.authenticate(query["token"][0])
        try:
            event = await asyncio.wait_for(receive(), self._timeout_s)
        except TimeoutError:
            raise RefusedError(closing.AUTH_TIMEOUT, f"no auth frame within {self._timeout_s:g} s") from None
        return await self._authenticator.authenticate(_token(event))


def _token(event: Any) -> str:
    if event["type"] != "websocket.receive":
        raise RefusedError(closing.NOT_AUTHENTICATED, "closed before authentication")
    try:
        frame = client.decode(event.get("text") or "")
    except (msgspec.MsgspecError, RecursionError):
        raise UnauthenticatedError("expected an auth frame first") from None
    if not isinstance(frame, client.Auth):
        raise UnauthenticatedError("expected an auth frame first")
    return frame.token
