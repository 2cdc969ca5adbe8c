"""The query behind statistics: counts by kind and status, and the median time to answer."""

import msgspec

from kernel.database import Connection
from modules.contacts.events import InviteKind, InviteStatus
from modules.contacts.store.listing import WHOSE, Direction

OF_ALL = "SELECT kind, status, responded_at - created_at AS took FROM contact_invites"

TALLY = """
SELECT kind, status, count(*) AS count,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM took)::float8) AS median_s
FROM ({}) AS asked GROUP BY GROUPING SETS ((kind, status), ())
"""
"""The row without kind and status is about all together. What has no answer has no part in the median."""


class Tally(msgspec.Struct, frozen=True):
    """How many there are of each, and the median seconds to an answer (None: nobody answered)."""

    counts: dict[tuple[InviteKind, InviteStatus], int]
    median_s: float | None


async def tally(connection: Connection, user_id: str | None, direction: Direction) -> Tally:
    """Count somebody's invitations; None: everybody's, which reads the whole table."""
    if user_id is None:
        rows = await connection.fetch(TALLY.format(OF_ALL))
    else:
        sides = " UNION ALL ".join(f"{OF_ALL} WHERE {side} = $1" for side in WHOSE[direction])
        rows = await connection.fetch(TALLY.format(sides), user_id)
    counts = {(row["kind"], row["status"]): row["count"] for row in rows if row["kind"] is not None}
    return Tally(counts, next((row["median_s"] for row in rows if row["kind"] is None), None))
