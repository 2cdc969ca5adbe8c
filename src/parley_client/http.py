"""What only HTTP does: pages of history, the inbox, new channels. Thin, on purpose."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import msgspec

from parley_client.backoff import Backoff
from parley_client.errors import Refused
from parley_client.models import Channel, Message, Problem
from parley_client.tokens import Token

TIMEOUT = aiohttp.ClientTimeout(total=30)
ATTEMPTS = 5
REFUSED = 400
UNAUTHENTICATED = 401

T = TypeVar("T")


class _Messages(msgspec.Struct):
    items: list[Message]


class _Channels(msgspec.Struct):
    items: list[Channel]
    next: str | None = None


class Http:
    """Calls in the name of the client's user. Each is tried again while the server is away or busy, up to five times.

    Every method raises `Refused`, and `aiohttp.ClientError` or `TimeoutError` when the server can't be reached.
    """

    def __init__(self, url: str, token: Token, backoff: Backoff) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._backoff = backoff
        self._bearer: str | None = None
        self._http: aiohttp.ClientSession | None = None

    async def messages(
        self,
        channel_id: str,
        *,
        before_seq: int | None = None,
        after_seq: int | None = None,
        around_seq: int | None = None,
        limit: int = 50,
    ) -> list[Message]:
        """Return a page of a channel's messages, oldest first: the newest page when no place is named."""
        query = {"before_seq": before_seq, "after_seq": after_seq, "around_seq": around_seq, "limit": limit}
        return (await self._call("GET", f"/api/channels/{quote(channel_id)}/messages", _Messages, query=query)).items

    async def channels(self, **filters: str) -> AsyncIterator[Channel]:
        """Iterate over the inbox, newest message first. `filters` as the API has them: `kind`, `unread`, `archived`."""
        query: dict[str, Any] = {"limit": 100, **filters}
        while True:
            page = await self._call("GET", "/api/channels", _Channels, query=query)
            for channel in page.items:
                yield channel
            if page.next is None:
                return
            query["cursor"] = page.next

    async def direct(self, user_id: str) -> Channel:
        """Return the channel of the two people, made if need be."""
        return await self._call("POST", "/api/channels/direct", Channel, body={"user_id": user_id})

    async def group(self, title: str, participant_ids: list[str]) -> Channel:
        """Make a group; the user becomes its admin."""
        body = {"title": title, "participant_ids": participant_ids}
        return await self._call("POST", "/api/channels/group", Channel, body=body)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def _call(
        self, method: str, path: str, kind: type[T], *, query: dict[str, Any] | None = None, body: object = None
    ) -> T:
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        parameters = {name: str(value) for name, value in (query or {}).items() if value is not None}
        for attempt in range(ATTEMPTS):
            try:
                answer = await self._once(method, path, headers, parameters, body)
                return msgspec.json.decode(answer, type=kind)
            except Refused as refusal:
                await self._wait(refusal, attempt, refusal.retry_after_s or 0.0, again=self._again(refusal, attempt))
            except (aiohttp.ClientError, TimeoutError) as error:
                await self._wait(error, attempt, 0.0, again=True)
        raise AssertionError  # the last attempt returns or raises

    async def _once(
        self, method: str, path: str, headers: dict[str, str], parameters: dict[str, str], body: object
    ) -> bytes:
        self._bearer = self._bearer or await self._token.get()
        self._http = self._http or aiohttp.ClientSession(timeout=TIMEOUT)
        headers = headers | {"Authorization": f"Bearer {self._bearer}"}
        async with self._http.request(
            method, self._url + path, params=parameters, json=body, headers=headers
        ) as response:
            answer = await response.read()
            if response.status >= REFUSED:
                raise Refused(_problem(response.status, answer), retry_after_s=_seconds(response))
            return answer

    def _again(self, refusal: Refused, attempt: int) -> bool:
        """Whether the same call may succeed: when the server has time for it, or with a fresh token."""
        if refusal.status == UNAUTHENTICATED:
            self._bearer = None
            return self._token.is_renewable and attempt == 0
        return refusal.passes

    async def _wait(self, error: Exception, attempt: int, at_least_s: float, *, again: bool) -> None:
        if not again or attempt == ATTEMPTS - 1:
            raise error
        await asyncio.sleep(self._backoff.delay_s(attempt, at_least_s))


def _problem(status: int, answer: bytes) -> Problem:
    try:
        return msgspec.json.decode(answer, type=Problem)
    except msgspec.MsgspecError:
        return Problem(status=status, title="Refused")


def _seconds(response: aiohttp.ClientResponse) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0
