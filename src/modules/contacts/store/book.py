"""Queries that read who is whose contact, and who has blocked whom."""

from collections.abc import Collection
from typing import NamedTuple

from kernel.database import Connection

AMONG = """
SELECT other FROM unnest($2::text[]) AS other, LATERAL (
    SELECT FROM contact_pairs AS p
    WHERE p.low_id = least($1 COLLATE "C", other) AND p.high_id = greatest($1 COLLATE "C", other) LIMIT 1) AS pair
"""
"""A look into the index for each: joined, everybody's pairs might be read."""

ALL = """
SELECT high_id FROM contact_pairs WHERE low_id = $1 UNION ALL SELECT low_id FROM contact_pairs WHERE high_id = $1
"""

BLOCKED_AMONG = """
SELECT other FROM unnest($2::text[]) AS other
WHERE EXISTS (SELECT FROM contact_blocks WHERE blocker_id = $1 AND blocked_id = other)
   OR EXISTS (SELECT FROM contact_blocks WHERE blocker_id = other AND blocked_id = $1)
"""

STANDING = f"SELECT EXISTS ({AMONG}), EXISTS ({BLOCKED_AMONG})"


class Standing(NamedTuple):
    """How two people stand to each other. `is_blocked`: one of them blocks the other."""

    is_contact: bool
    is_blocked: bool


async def contacts_among(connection: Connection, user_id: str, others: Collection[str]) -> list[str]:
    """Return those of `others` who are contacts of this person."""
    return [row[0] for row in await connection.fetch(AMONG, user_id, list(others))]


async def contacts(connection: Connection, user_id: str) -> list[str]:
    """Return every contact of somebody."""
    return [row[0] for row in await connection.fetch(ALL, user_id)]


async def blocked_among(connection: Connection, user_id: str, others: Collection[str]) -> list[str]:
    """Return those of `others` who have blocked this person, or are blocked by them."""
    return [row[0] for row in await connection.fetch(BLOCKED_AMONG, user_id, list(others))]


async def standing(connection: Connection, user_id: str, other: str) -> Standing:
    """Return how two people stand to each other."""
    return Standing(*await connection.fetchrow(STANDING, user_id, [other]) or (False, False))
