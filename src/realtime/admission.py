"""Who may have a socket: origin first, then a token in the first frame, a ticket or, where allowed, a query token."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec

from kernel.auth import Authenticator, DeactivatedError, Principal
from kernel.errors import ParleyError, UnavailableError
from kernel.settings import Settings
from realtime import closing
from realtime.frames import decode_auth

Receive = Callable[[], Awaitable[Any]]
Credential = Callable[[], Awaitable[Principal]]
"""What a peer showed; calling it finds out whose it is."""


class Person(Protocol):
    """A person, as far as the way in is concerned."""

    @property
    def active(self) -> bool:
        """False once deactivated."""
        ...


class People(Protocol):
    """Who there is."""

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those who exist, deactivated ones included; unknown ids are absent."""
        ...


class Tickets(Protocol):
    """Single-use ways in."""

    async def redeem(self, ticket: str) -> Principal:
        """Return who the ticket was made for, and use it up.

        Raises:
            UnauthenticatedError: unknown, used or too old.
        """
        ...


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
        self._origins = frozenset({_origin(settings.public_url), *settings.allowed_origins})

    async def credential(self, scope: Any, receive: Receive) -> Credential:
        """Return what the peer shows, waiting for its first frame where it comes with that.

        Raises:
            RefusedError: with the close code of the reason.
        """
        self._check_origin(scope)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if "ticket" in query:
            return partial(self._redeem, query["ticket"][0])
        if "token" in query and self._query_token:
            return partial(self._authenticator.authenticate, query["token"][0])
        try:
            event = await asyncio.wait_for(receive(), self._timeout_s)
        except TimeoutError:
            raise RefusedError(closing.AUTH_TIMEOUT, f"no auth frame within {self._timeout_s:g} s") from None
        return partial(self._authenticator.authenticate, _token(event))

    async def admit(self, credential: Credential) -> Principal:
        """Return who is there.

        Raises:
            RefusedError: with the close code of the reason.
            UnavailableError: that can't be found out now.
        """
        try:
            principal = await credential()
        except DeactivatedError as error:
            raise RefusedError(closing.DEACTIVATED, error.title) from None
        except UnavailableError:
            raise
        except ParleyError as error:
            raise RefusedError(closing.NOT_AUTHENTICATED, error.detail or error.title) from None
        if not principal.takes_part:
            raise RefusedError(closing.NOT_AUTHENTICATED, "sockets are for people who take part")
        return principal

    async def check_active(self, user_id: str) -> None:
        """Look again, now that the socket hears of a deactivation: one just before would be missed.

        Raises:
            RefusedError: the person was deactivated, or is gone.
        """
        person = (await self._people.find([user_id])).get(user_id)
        if person is None or not person.active:
            raise RefusedError(closing.DEACTIVATED, DeactivatedError.title)

    def _check_origin(self, scope: Any) -> None:
        """Browsers always send Origin; whoever doesn't is no browser, and can't be tricked by a page."""
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if origins and "*" not in self._origins and not set(origins) <= self._origins:
            raise RefusedError(closing.BAD_ORIGIN, "origin not allowed")

    async def _redeem(self, ticket: str) -> Principal:
        principal = await self._tickets.redeem(ticket)
        await self.check_active(principal.id)
        return principal


def _origin(url: str) -> str:
    """Return the origin of a page there, as browsers send it: in lower case, without the port that its scheme has."""
    parts = urlsplit(url)
    netloc = parts.netloc.lower().removesuffix({"http": ":80", "https": ":443"}[parts.scheme])
    return f"{parts.scheme}://{netloc}"


def _token(event: Any) -> str:
    if event["type"] != "websocket.receive":
        raise RefusedError(closing.NOT_AUTHENTICATED, "closed before authentication")
    try:
        return decode_auth(event.get("text") or "").token
    except (msgspec.MsgspecError, RecursionError):
        raise RefusedError(closing.NOT_AUTHENTICATED, "expected an auth frame first") from None
