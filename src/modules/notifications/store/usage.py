"""How many segments of SMS were sent in which hour, to each number and altogether.

Whoever counts holds the lock of the transport (`circuits.read`), so that what was read still holds when it is written.
Numbers are kept by their hash.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from kernel.database import Connection

DEPLOYMENT = b""
"""The scope of all numbers."""

USED = "SELECT scope, hour, segments FROM notification_usage WHERE scope = ANY($1) AND hour >= $2 AND segments > 0"

ADD = """
INSERT INTO notification_usage AS usage (scope, hour, segments)
SELECT scope, $2, $3 FROM unnest($1::bytea[]) AS scope ORDER BY scope
ON CONFLICT (scope, hour) DO UPDATE SET segments = greatest(usage.segments + excluded.segments, 0)
"""


async def used(
    connection: Connection, scopes: Collection[bytes], since: datetime
) -> Mapping[bytes, Mapping[datetime, int]]:
    """Return the segments of each scope by hour, from hour `since` on."""
    found: dict[bytes, dict[datetime, int]] = {scope: {} for scope in scopes}
    for row in await connection.fetch(USED, list(scopes), since):
        found[row["scope"]][row["hour"]] = row["segments"]
    return found


async def add(connection: Connection, scopes: Collection[bytes], hour: datetime, segments: int) -> None:
    """Count segments; negative ones were certainly not sent after all."""
    await connection.execute(ADD, list(scopes), hour, segments)
