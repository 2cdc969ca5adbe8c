"""Who presents a credential: the one way in for HTTP and sockets alike.

It stands in the path of every request, so all that it needs comes from memory where possible.
"""

from kernel.auth import DeactivatedError, Principal
from kernel.auth.jwt import TokenVerifier
from kernel.errors import UnauthenticatedError
from modules.identity.directory import Directory
from modules.identity.keys import ApiKeys


class IdentityAuthenticator:
    """Knows API keys by their first letters, and takes everything else for a token."""

    def __init__(self, verifier: TokenVerifier, keys: ApiKeys, directory: Directory) -> None:
        self._verifier = verifier
        self._keys = keys
        self._directory = directory

    async def authenticate(self, credential: str) -> Principal:
        """Return who presents `credential`.

        Raises:
            UnauthenticatedError: unknown, expired, malformed or not acceptable here.
            DeactivatedError: a genuine token of a person who was deactivated.
            UnavailableError: the database or the host's keys can't be reached to find out.
        """
        if credential.startswith("pk_"):
            return await self._keys.authenticate(credential)
        claims = await self._verifier.verify(credential)
        profile = self._directory.cached(claims.sub) or await self._directory.get(claims.sub)
        if profile is None:
            raise UnauthenticatedError("The token's subject is not a known user")
        if not profile.active:
            raise DeactivatedError("This user has been deactivated")
        return Principal(kind="user", id=claims.sub, role=claims.role, expires_at=claims.exp)
