"""The host's public keys. An unknown `kid` triggers one refetch, then a cool-down during which it fails closed."""

import asyncio
import time
from typing import Any

import jwt
import structlog

from kernel.errors import UnauthenticatedError, UnavailableError

log = structlog.get_logger(__name__)

COOL_DOWN_S = 30.0
FETCH_TIMEOUT_S = 5
KEY_TYPES = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}


class KeySet:
    """Keys fetched from `url` on first need and again when an unknown one is asked for."""

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT_S)
        self._keys: dict[str | None, jwt.PyJWK] | None = None
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> Any:
        """Return the public key `kid`, made for `algorithm`; a token without `kid` may use a set's only key.

        Raises:
            UnauthenticatedError: no such key.
            UnavailableError: keys were never fetched, and can't be now.
        """
        key = self._known(kid)
        if key is None:
            async with self._lock:
                key = self._known(kid)
                if key is None and time.monotonic() - self._fetched_at >= COOL_DOWN_S:
                    await self._fetch()
                    key = self._known(kid)
        if key is None and self._keys is None:
            raise UnavailableError("The token keys can't be fetched", retry_after_s=COOL_DOWN_S)
        if key is None or key.key_type != KEY_TYPES[algorithm] or key.algorithm_name != algorithm:
            raise UnauthenticatedError("The token's key is unknown")
        return key.key

    def _known(self, kid: str | None) -> jwt.PyJWK | None:
        if self._keys is None:
            return None
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        self._fetched_at = time.monotonic()
        try:
            data = await asyncio.to_thread(self._client.fetch_data)
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(data).keys}
        except (jwt.PyJWTError, AttributeError, TypeError) as error:
            log.warning("jwks_fetch_failed", error=type(error).__name__)
