"""Queries on who is whose contact, and who has blocked whom."""

from collections.abc import Collection, Sequence

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

BLOCKED = """
SELECT DISTINCT asked.low_id, asked.high_id FROM unnest($1::text[], $2::text[]) AS asked (low_id, high_id)
JOIN contact_blocks AS b
  ON (b.blocker_id, b.blocked_id) IN ((asked.low_id, asked.high_id), (asked.high_id, asked.low_id))
"""


async def lock(connection: Connection, pairs: Collection[Pair]) -> None:
    """Lock pairs until the end of the transaction, always in the same order: no deadlocks.

    Whoever invites, answers, removes or blocks locks the pair first, and then sees what the others before have done.
    """
    await locks.lock(connection, [("contacts", *pair) for pair in pairs])


async def add(connection: Connection, pairs: Collection[Pair]) -> list[Pair]:
    """Make pairs contacts; returns those who weren't."""
    return _pairs(await connection.fetch(ADD, *_columns(pairs)))


async def remove(connection: Connection, pairs: Collection[Pair]) -> list[Pair]:
    """End pairs; returns those who were contacts."""
    return _pairs(await connection.fetch(REMOVE, *_columns(pairs)))


async def blocked(connection: Connection, pairs: Collection[Pair]) -> set[Pair]:
    """Return the pairs of whom one has blocked the other."""
    return set(_pairs(await connection.fetch(BLOCKED, *_columns(pairs))))


def _columns(pairs: Collection[Pair]) -> tuple[list[str], list[str]]:
    return [low for low, _ in pairs], [high for _, high in pairs]


def _pairs(rows: Sequence[object]) -> list[Pair]:
    return [tuple(row) for row in rows]  # type: ignore[arg-type, misc]  # two columns each
