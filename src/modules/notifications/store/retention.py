"""Removing what is old enough, a bounded batch a transaction.

A removed delivery leaves no hole that anything could be alerted into: how far a person was alerted is kept with the
alert, and the newest delivery of every channel's chain stays. The one behind a removed one is marked as `cut`, so that
it need not refer to it. Of invitations, which end and are never heard of again, nothing stays: with the last delivery
goes the alert.
"""

from datetime import datetime
from uuid import UUID

from kernel import locks
from kernel.database import Connection

LOOK = """
SELECT id, created_at < $2 AS old FROM notification_deliveries WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $3
"""

TAKE = """
SELECT d.id, d.user_id, d.thread_id, d.transport, d.category, d.to_seq + 1 AS next_seq FROM notification_deliveries AS d
WHERE d.id = ANY($1) AND d.updated_at < $2 AND d.state NOT IN ('pending', 'claimed', 'sending', 'unknown')
  AND (d.thread_id IS NULL OR d.category = 'invites' OR EXISTS (
      SELECT FROM notification_deliveries AS next
      WHERE next.user_id = d.user_id AND next.thread_id = d.thread_id AND next.transport = d.transport
        AND next.from_seq = d.to_seq + 1
  ))
FOR UPDATE OF d SKIP LOCKED
"""

CUT = """
UPDATE notification_deliveries AS next SET cut = true
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[]) AS gone (user_id, thread_id, transport, next_seq)
WHERE next.user_id = gone.user_id AND next.thread_id = gone.thread_id AND next.transport = gone.transport
  AND next.from_seq = gone.next_seq
"""

REMOVE = "DELETE FROM notification_deliveries WHERE id = ANY($1)"

FORGET = """
DELETE FROM notification_alerts AS alert
USING unnest($1::text[], $2::uuid[], $3::text[]) AS gone (user_id, thread_id, transport)
WHERE alert.user_id = gone.user_id AND alert.thread_id = gone.thread_id AND alert.transport = gone.transport
  AND alert.category = 'invites' AND alert.due_at IS NULL
  AND NOT EXISTS (
      SELECT FROM notification_deliveries AS d
      WHERE d.user_id = alert.user_id AND d.thread_id = alert.thread_id AND d.transport = alert.transport
  )
"""

REMOVE_ANSWERS = """
DELETE FROM notification_answers WHERE provider_id IN (
    SELECT provider_id FROM notification_answers WHERE received_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""

REMOVE_USAGE = """
DELETE FROM notification_usage WHERE (scope, hour) IN (
    SELECT scope, hour FROM notification_usage WHERE hour < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""


async def alone(connection: Connection) -> bool:
    """Take the turn for this transaction; False when another instance has it."""
    return await locks.try_lock(connection, ("notification retention",))


async def remove_deliveries(
    connection: Connection, after: UUID | None, before: datetime, limit: int
) -> tuple[UUID | None, int]:
    """Look at `limit` deliveries, and remove those that were last changed before a moment and are settled.

    Ids are in the order of making, so that the first younger one is the end; no index on time is needed.

    Returns:
        The id to go on after, None at the end; and how many were removed.
    """
    seen = await connection.fetch(LOOK, after, before, limit)
    old = [row["id"] for row in seen if row["old"]]
    gone = await connection.fetch(TAKE, old, before)
    if gone:
        columns = [[row[name] for row in gone] for name in ("user_id", "thread_id", "transport", "next_seq")]
        await connection.execute(CUT, *columns)
        await connection.execute(REMOVE, [row["id"] for row in gone])
        await connection.execute(FORGET, *columns[:3])
    return (old[-1] if len(old) == limit else None), len(gone)


async def remove_answers(connection: Connection, before: datetime, limit: int) -> int:
    """Forget answers that came in before a moment."""
    return _count(await connection.execute(REMOVE_ANSWERS, before, limit))


async def remove_usage(connection: Connection, before: datetime, limit: int) -> int:
    """Forget what was sent in hours before a moment."""
    return _count(await connection.execute(REMOVE_USAGE, before, limit))


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
