"""Pages of somebody's contacts, newest first: from the two ends of the pairs that name them, no further than asked."""

from collections.abc import Collection
from datetime import datetime

import msgspec

from kernel.database import Connection

HALF = """
(SELECT {other} AS user_id, since FROM contact_pairs
 WHERE {own} = $1 AND (since, {other}) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, '') COLLATE "C")
   AND ($4::text[] IS NULL OR {other} = ANY($4))
 ORDER BY since DESC, {other} DESC LIMIT $5)
"""

PAGE = f"""
SELECT user_id, since FROM (
{HALF.format(own="low_id", other="high_id")} UNION ALL {HALF.format(own="high_id", other="low_id")}
) AS found ORDER BY since DESC, user_id DESC LIMIT $5
"""


class Since(msgspec.Struct, frozen=True):
    """Somebody, and since when they are what the list is of."""

    user_id: str
    since: datetime


async def page(
    connection: Connection, user_id: str, after: Since | None, limit: int, among: Collection[str] | None = None
) -> list[Since]:
    """Return somebody's contacts, newest first, from the one after `after` on; with `among` of these only."""
    start = (None, None) if after is None else (after.since, after.user_id)
    rows = await connection.fetch(PAGE, user_id, *start, None if among is None else list(among), limit)
    return [Since(*row.values()) for row in rows]
