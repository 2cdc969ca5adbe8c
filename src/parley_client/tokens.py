"""The token that says who the client is, and when the next one is needed."""

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

import aiohttp
import msgspec

TokenSource: TypeAlias = str | Callable[[], Awaitable[str]]
"""A token, or a function that returns a fresh one."""

PASSING_FAILURES = (OSError, TimeoutError, aiohttp.ClientConnectionError)
"""What fetching a token may raise without ending the client."""

REFRESH_AT = 0.8
"""Part of a token's remaining life after which the next one is fetched."""

SOONEST_S = 0.5


class _Claims(msgspec.Struct):
    exp: float | None = None


class Token:
    """Gives the present token."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    @property
    def is_renewable(self) -> bool:
        """Whether there can be another than the present one."""
        return not isinstance(self._source, str)

    async def get(self) -> str:
        """Return a fresh token, or the only one."""
        return self._source if isinstance(self._source, str) else await self._source()

    def refresh_in_s(self, token: str, now: datetime) -> float | None:
        """Return after how many seconds a token should be replaced; None: it can't be, or needn't be."""
        expires_at = _expiry(token)
        if expires_at is None or not self.is_renewable:
            return None
        return max(SOONEST_S, (expires_at - now.timestamp()) * REFRESH_AT)


def _expiry(token: str) -> float | None:
    """Read a JWT's `exp` without checking anything: that is up to the server."""
    parts = token.split(".")
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(claims, type=_Claims).exp
    except (IndexError, ValueError, msgspec.MsgspecError):
        return None
