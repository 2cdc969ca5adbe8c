"""Advisory locks: what has no row to be locked by is locked by its name, until the end of the transaction.

A name is a few words, the first of which says what is locked; no two are taken for each other, since none holds a NUL.
"""

import hashlib
from collections.abc import Iterable

from kernel.database import Connection

LOCK = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key"
TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1)"


async def lock(connection: Connection, names: Iterable[tuple[str, ...]]) -> None:
    """Lock all of these, always in the same order: calls that run at once don't end in a deadlock."""
    await connection.execute(LOCK, sorted(map(_key, set(names))))


async def try_lock(connection: Connection, name: tuple[str, ...]) -> bool:
    """Lock this unless somebody else holds it; returns whether it is locked now."""
    return bool(await connection.fetchval(TRY_LOCK, _key(name)))


def _key(name: tuple[str, ...]) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(name).encode()).digest()[:8], signed=True)
