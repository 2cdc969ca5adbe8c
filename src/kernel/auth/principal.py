"""The caller, and the port that finds out who it is."""

from typing import Literal, Protocol

import msgspec

from kernel.errors import UnauthenticatedError

Role = Literal["user", "admin", "auditor"]


class Principal(msgspec.Struct, frozen=True):
    """An authenticated caller: a person (`user`), or a host back end with an API key (`key`)."""

    kind: Literal["user", "key"]
    id: str
    role: Role = "user"
    scopes: frozenset[str] = frozenset()
    expires_at: float | None = None
    """Unix time at which the credential ends; None for API keys."""

    @property
    def takes_part(self) -> bool:
        """Whether it is a person who may act: auditors read audits only."""
        return self.kind == "user" and self.role != "auditor"

    def may(self, scope: str) -> bool:
        """Whether an API key carries `scope` (or all of them)."""
        return self.kind == "key" and ("*" in self.scopes or scope in self.scopes)


class DeactivatedError(UnauthenticatedError):
    """The person behind a valid token has been deactivated."""

    slug, title = "deactivated", "User deactivated"


class Authenticator(Protocol):
    """Checks credentials; the one way in for HTTP and sockets alike."""

    async def authenticate(self, credential: str) -> Principal:
        """Return who presents `credential` (a JWT or an API key).

        Raises:
            UnauthenticatedError: unknown, expired, malformed or not acceptable here.
            DeactivatedError: of a person who was deactivated.
        """
        ...
