"""Queries on what is counted. A count is locked from when it is added to until the end of the transaction."""

from collections.abc import Collection, Mapping

import asyncpg

from kernel.database import Connection
from modules.contacts.domain.quotas import Counter

READ = """
SELECT u.scope, u.subject, u.since, u.count
FROM unnest($1::text[], $2::bytea[], $3::timestamptz[]) AS asked (scope, subject, since)
JOIN contact_usage AS u USING (scope, subject, since)
"""

ADD = """
INSERT INTO contact_usage AS u (scope, subject, since, count)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::timestamptz[], $4::integer[])
ON CONFLICT (scope, subject, since) DO UPDATE SET count = u.count + excluded.count
RETURNING scope, subject, since, count
"""


async def read(connection: Connection, counters: Collection[Counter]) -> dict[Counter, int]:
    """Return the counts; what was never counted is absent."""
    return _counts(await connection.fetch(READ, *_columns(counters)))


async def add(connection: Connection, counts: Mapping[Counter, int]) -> dict[Counter, int]:
    """Add to counts, always in the same order: no deadlocks. Returns what they are now; 0 only locks them."""
    counters = sorted(counts)
    return _counts(await connection.fetch(ADD, *_columns(counters), [counts[one] for one in counters]))


def _columns(counters: Collection[Counter]) -> list[list[object]]:
    return [[getattr(one, field) for one in counters] for field in Counter.__struct_fields__]


def _counts(rows: list[asyncpg.Record]) -> dict[Counter, int]:
    return {Counter(row["scope"], row["subject"], row["since"]): row["count"] for row in rows}
