"""`Idempotency-Key`: a request that is sent again has its effect once and gets the first answer again.

Guarantees, for one caller and key, for 24 hours:
- The work's effects and the memory of its answer commit together; a failed request leaves neither and may be
  retried.
- Of two requests at once, one works while the other waits for it and then gets its answer.
- The same key with another method, path or body is refused (409).

What is remembered lies in the database as it is: remember nothing secret, but what the answer can be made
from.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from litestar import Request
from litestar.params import HeaderParameter

from kernel.auth import Principal
from kernel.database import Connection, Database, Transaction
from kernel.errors import ConflictError
from kernel.text import pattern

T = TypeVar("T")

IdempotencyKey: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        min_length=1,
        max_length=255,
        pattern=pattern(r"\A[\x20-\x7e]{1,255}\Z", "must be printable ASCII"),
        description="Makes it safe to send the request again: for 24 hours the first answer is given again",
    ),
]
"""Type of a handler's parameter for the header: 1-255 printable ASCII characters."""

CLAIM = """
INSERT INTO kernel_idempotency_keys AS kept (caller, key, request_hash) VALUES ($1, $2, $3)
ON CONFLICT (caller, key) DO UPDATE SET request_hash = excluded.request_hash, body = NULL, created_at = now()
WHERE kept.created_at < now() - interval '24 hours'
RETURNING true
"""
KNOWN = """
SELECT true FROM kernel_idempotency_keys
WHERE caller = $1 AND key = $2 AND body IS NOT NULL AND created_at >= now() - interval '24 hours'
"""
RECALL = "SELECT request_hash, body FROM kernel_idempotency_keys WHERE caller = $1 AND key = $2"
REMEMBER = "UPDATE kernel_idempotency_keys SET body = $3 WHERE caller = $1 AND key = $2"
PURGE = """
DELETE FROM kernel_idempotency_keys WHERE (caller, key) IN (
    SELECT caller, key FROM kernel_idempotency_keys WHERE created_at < now() - interval '24 hours'
    ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)
"""
"""Run with every new key, so the table never outgrows a day's traffic and needs no clock of its own."""


class Idempotency:
    """Remembers answers by caller and key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def once(
        self,
        request: Request[Principal, Any, Any],
        key: str | None,
        work: Callable[[Transaction], Awaitable[T]],
        kind: type[T],
    ) -> T:
        """Return what `work` returns, or returned when this request was first made. Without a key, just work.

        Args:
            request: the request; its caller, method, path and body are what must be the same.
            key: the header's value.
            work: has its effects on the given transaction and asks for no other connection.
            kind: type of what it returns, which is kept as JSON.

        Raises:
            ConflictError: the key was used for another request.
        """
        async with self._database.transaction() as tx:
            if key is None:
                return await work(tx)
            owner = _owner(request, key)
            digest = await _digest(request)
            if not await tx.connection.fetchval(CLAIM, *owner, digest):
                return await _recall(tx.connection, owner, digest, kind)
            value = await work(tx)
            await tx.connection.execute(REMEMBER, *owner, msgspec.json.encode(value))
            await tx.connection.execute(PURGE)
            return value

    async def answered(self, request: Request[Principal, Any, Any], key: str | None, kind: type[T]) -> T | None:
        """Return what this request was answered when it was first made; None if it wasn't, or has no key.

        For who does something before the work that a repeat must not do, or could fail at.

        Raises:
            ConflictError: the key was used for another request.
        """
        if key is None:
            return None
        owner = _owner(request, key)
        async with self._database.connection() as connection:
            known = await connection.fetchval(KNOWN, *owner)
            return await _recall(connection, owner, await _digest(request), kind) if known else None


async def _recall(connection: Connection, owner: tuple[str, str], digest: bytes, kind: type[T]) -> T:
    row = await connection.fetchrow(RECALL, *owner)
    if row is None or row["request_hash"] != digest:
        raise ConflictError("This Idempotency-Key was used for another request")
    return msgspec.json.decode(row["body"], type=kind)


def _owner(request: Request[Principal, Any, Any], key: str) -> tuple[str, str]:
    return f"{request.user.kind}:{request.user.id}", key


async def _digest(request: Request[Any, Any, Any]) -> bytes:
    line = f"{request.method} {request.url.path}\n".encode()
    return hashlib.sha256(line + await request.body()).digest()
