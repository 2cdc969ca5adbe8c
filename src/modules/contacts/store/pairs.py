"""Queries that change who is whose contact, and the lock under which all is decided about two people."""

from collections.abc import Collection, Sequence

import asyncpg

from kernel import locks
from kernel.database import Connection
from modules.contacts.domain.pairs import Pair

ADD = """
INSERT INTO contact_pairs (low_id, high_id) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING RETURNING low_id, high_id
"""

REMOVE = """
DELETE FROM contact_pairs AS p USING unnest($1::text[], $2::text[]) AS gone (low_id, high_id)
WHERE (p.low_id, p.high_id) = (gone.low_id, gone.high_id) RETURNING p.low_id, p.high_id
"""


async def lock(connection: Connection, pairs: Collection[Pair]) -> None:
    """Lock pairs until the end of the transaction, always in the same order: no deadlocks.

    Whoever invites, answers, removes or blocks locks the pair first, and then sees what the others before have done.
    """
    await locks.lock(connection, [("contacts", *pair) for pair in pairs])


async def add(connection: Connection, pairs: Collection[Pair]) -> list[Pair]:
    """Make pairs contacts; returns those who weren't."""
    return pairs_of(await connection.fetch(ADD, *_columns(pairs)))


async def remove(connection: Connection, pairs: Collection[Pair]) -> list[Pair]:
    """End pairs; returns those who were contacts."""
    return pairs_of(await connection.fetch(REMOVE, *_columns(pairs)))


def pairs_of(rows: Sequence["asyncpg.Record"]) -> list[Pair]:
    """Read rows of the two ids."""
    return [(row["low_id"], row["high_id"]) for row in rows]


def _columns(pairs: Collection[Pair]) -> tuple[list[str], list[str]]:
    return [low for low, _ in pairs], [high for _, high in pairs]
