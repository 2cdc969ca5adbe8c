"""API keys of host back ends: shown once, hashed at rest, scoped, revocable."""

import time
from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec

from kernel.auth import Principal
from kernel.database import Database
from kernel.errors import NotFoundError, UnauthenticatedError, malformed_field
from kernel.ids import new_id
from kernel.signals import notify
from modules.identity import domain
from modules.identity.events import KEYS_SIGNAL

TTL_S = 2.0
CAPACITY = 1_000
MAX_NAME = 100

ADD = "INSERT INTO identity_api_keys (id, name, prefix, key_hash, scopes) VALUES ($1, $2, $3, $4, $5)"
LIST = """
SELECT id, name, prefix, scopes, created_at, last_used_at, revoked_at FROM identity_api_keys ORDER BY id
"""
REVOKE = "UPDATE identity_api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1"
LIVING = """
SELECT id, scopes, coalesce(last_used_at < now() - interval '1 minute', true) AS note_use
FROM identity_api_keys WHERE key_hash = $1 AND revoked_at IS NULL
"""
NOTE_USE = "UPDATE identity_api_keys SET last_used_at = now() WHERE id = $1"


class ApiKey(msgspec.Struct, frozen=True):
    """An API key, as operators see it. `prefix` is how it begins; `last_used_at` is right to the minute."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class ApiKeys:
    """Makes, checks and revokes API keys. A revoked key is refused at once; where signals are lost, within `TTL_S`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._changes = 0

    async def create(self, name: str, scopes: Collection[str]) -> tuple[UUID, str]:
        """Make a key; returns its id and the key itself, which can't be shown again.

        Raises:
            MalformedError: a name that is empty or too long, no scope or an unknown one.
        """
        _check(name, scopes)
        key_id, key = new_id(), domain.new_api_key()
        prefix = key[: domain.API_KEY_PREFIX_LENGTH]
        async with self._database.connection() as connection:
            await connection.execute(ADD, key_id, name, prefix, domain.api_key_hash(key), sorted(set(scopes)))
        return key_id, key

    async def list(self) -> list[ApiKey]:
        """Return all keys, revoked ones included, oldest first."""
        async with self._database.connection() as connection:
            return [ApiKey(*row.values()) for row in await connection.fetch(LIST)]

    async def revoke(self, key_id: UUID) -> None:
        """End a key; once more changes nothing.

        Raises:
            NotFoundError: there is no such key.
        """
        async with self._database.transaction() as tx:
            status = await tx.connection.execute(REVOKE, key_id)
            await notify(tx.connection, KEYS_SIGNAL, str(key_id))
            tx.after_commit(self.forget_all)
        if status != "UPDATE 1":
            raise NotFoundError("There is no such API key")

    def forget_all(self) -> None:
        """Look every key up anew."""
        self._changes += 1
        self._kept.clear()

    async def authenticate(self, key: str) -> Principal:
        """Return the host behind a key.

        Raises:
            UnauthenticatedError: unknown, malformed or revoked.
        """
        if not domain.API_KEY.match(key):
            raise UnauthenticatedError("The API key is not valid")
        digest = domain.api_key_hash(key)
        kept = self._kept.get(digest)
        if kept and kept[0] > time.monotonic():
            return kept[1]
        changes = self._changes
        principal = await self._load(digest)
        if changes == self._changes:  # else what was read may be from before the change
            self._kept[digest] = (time.monotonic() + TTL_S, principal)
        if len(self._kept) > CAPACITY:
            self._kept.popitem(last=False)
        return principal

    async def _load(self, digest: bytes) -> Principal:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(LIVING, digest)
            if row is None:
                self._kept.pop(digest, None)
                raise UnauthenticatedError("The API key is not valid")
            if row["note_use"]:
                await connection.execute(NOTE_USE, row["id"])
        return Principal(kind="key", id=str(row["id"]), scopes=frozenset(row["scopes"]))


def _check(name: str, scopes: Collection[str]) -> None:
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise malformed_field("/name", f"expected 1-{MAX_NAME} printable characters")
    unknown = sorted(set(scopes) - domain.SCOPES)
    if unknown or not scopes:
        raise malformed_field("/scopes", f"expected some of {', '.join(sorted(domain.SCOPES))}")
