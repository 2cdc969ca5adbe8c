"""The host's public keys (RFC 7517), fetched from its JWKS URL and kept.

An unknown `kid` triggers one refetch, then a cool-down during which it fails closed. Keys older than
`MAX_AGE_S` are fetched anew, so that a withdrawn key dies; while that fails, the known ones stay good.
"""

import asyncio
import time
from typing import Any

import aiohttp
import jwt
import msgspec
import structlog

from kernel.errors import UnauthenticatedError, UnavailableError

log = structlog.get_logger(__name__)

COOL_DOWN_S = 30.0
MAX_AGE_S = 600.0
FETCH_TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024
KEY_TYPES = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}


class KeySet:
    """Keys fetched from `url` on first need."""

    def __init__(self, url: str, *, cool_down_s: float = COOL_DOWN_S, max_age_s: float = MAX_AGE_S) -> None:
        self._url = url
        self._cool_down_s = cool_down_s
        self._max_age_s = max_age_s
        self._keys: list[jwt.PyJWK] | None = None
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> Any:
        """Return the public key `kid`, made for `algorithm`; a token without `kid` may use a set's only one.

        Raises:
            UnauthenticatedError: no such key, or several.
            UnavailableError: keys were never fetched, and can't be now.
        """
        if not self._fitting(kid, algorithm) or (self._stale() and not self._lock.locked()):
            async with self._lock:
                if self._stale() or not self._fitting(kid, algorithm):
                    await self._fetch_unless_cooling_down()
        if self._keys is None:
            raise UnavailableError("The token keys can't be fetched", retry_after_s=self._cool_down_s)
        fitting = self._fitting(kid, algorithm)
        if len(fitting) != 1:
            raise UnauthenticatedError("The token's key is unknown" if not fitting else "The token's key is ambiguous")
        return fitting[0].key

    def _fitting(self, kid: str | None, algorithm: str) -> list[jwt.PyJWK]:
        return [
            key
            for key in self._keys or []
            if (kid is None or key.key_id == kid)
            and key.key_type == KEY_TYPES[algorithm]
            and key.algorithm_name == algorithm
            and key.public_key_use in {None, "sig"}
        ]

    def _stale(self) -> bool:
        return time.monotonic() - self._fetched_at >= self._max_age_s

    async def _fetch_unless_cooling_down(self) -> None:
        if time.monotonic() - self._tried_at < self._cool_down_s:
            return
        self._tried_at = time.monotonic()
        try:
            self._keys = _usable(msgspec.json.decode(await self._download(), type=dict[str, Any]))
            self._fetched_at = time.monotonic()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
            log.warning("jwks_fetch_failed", error=type(error).__name__)

    async def _download(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(self._url, allow_redirects=False) as response,
        ):
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes of keys")
            return bytes(body)


def _usable(document: dict[str, Any]) -> list[jwt.PyJWK]:
    """Return the keys that we understand: a set may hold others (RFC 7517, 5).

    Raises:
        ValueError: there is none, so this is hardly the host's key set.
    """
    members = document.get("keys")
    keys = [key for member in members if (key := _key(member))] if isinstance(members, list) else []
    if not keys:
        raise ValueError("no usable keys")
    return keys


def _key(member: Any) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(member)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
