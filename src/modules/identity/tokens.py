"""Tokens for hosts that don't sign themselves.

A token is a function of its grant, so that repeating an answer needs no stored copy of the token.
"""

import time

import msgspec

from kernel.auth import Role
from kernel.auth.jwt import Claims, sign
from kernel.errors import ConflictError, NotFoundError
from modules.identity.directory import Directory


class Grant(msgspec.Struct, frozen=True):
    """What a token says; times are Unix times in whole seconds. Holds no secret."""

    user_id: str
    role: Role
    issued_at: int
    expires_at: int


class Tokens:
    """Mints tokens with the shared secret, for people who exist."""

    def __init__(
        self,
        directory: Directory,
        *,
        secret: str | None,
        audience: str | None = None,
        issuer: str | None = None,
    ) -> None:
        self._directory = directory
        self._secret = secret
        self._audience = audience
        self._issuer = issuer

    async def grant(self, user_id: str, *, expires_in_s: int = 3600, role: Role = "user") -> Grant:
        """Decide on a token that is valid from now on.

        Raises:
            NotFoundError: no such person.
            ConflictError: deactivated; or no secret is configured, only the host's own keys.
        """
        self._signing_secret()
        profile = await self._directory.get(user_id)
        if profile is None:
            raise NotFoundError("There is no such user")
        if not profile.active:
            raise ConflictError("The user is deactivated")
        issued_at = int(time.time())
        return Grant(user_id=user_id, role=role, issued_at=issued_at, expires_at=issued_at + expires_in_s)

    def sign(self, grant: Grant) -> str:
        """Return the token of a grant: the same one each time.

        Raises:
            ConflictError: no secret is configured.
        """
        claims = Claims(sub=grant.user_id, exp=grant.expires_at, role=grant.role)
        return sign(
            self._signing_secret(),
            claims,
            issued_at=grant.issued_at,
            audience=self._audience,
            issuer=self._issuer,
        )

    def _signing_secret(self) -> str:
        if self._secret is None:
            raise ConflictError("Only PARLEY_JWKS_URL is configured: the host signs its tokens itself")
        return self._secret
