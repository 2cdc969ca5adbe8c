"""Open alerts. One row a person and channel carries both the open alert and how far they were alerted before.

Ranges don't overlap because each begins where the last one ended. They may be contiguous because the log is gap-free
and commits in order: when the event of seq 8 is heard, 7 is readable, so an alert up to 8 is about 7 as well, and
the event of 7, should it come later, changes nothing.

Whoever takes due alerts moves their `due_at` ahead: that hides them from others while they are decided on, without a
lock, and brings them back should the worker die.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kernel.database import Connection
from modules.notifications.domain.alerts import DueAlert, Heard
from modules.notifications.ports import Span

HEAR = """
INSERT INTO notification_alerts AS alert (user_id, channel_id, to_seq, message_count, due_at)
SELECT user_id, channel_id, seq, message_count, due_at
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::int[], $5::timestamptz[])
    AS heard (user_id, channel_id, seq, message_count, due_at)
ORDER BY user_id, channel_id -- the same order everywhere: no deadlocks
ON CONFLICT (user_id, channel_id) DO UPDATE SET
    to_seq = greatest(alert.to_seq, excluded.to_seq),
    message_count = least(alert.message_count + excluded.message_count,
                          greatest(alert.to_seq, excluded.to_seq) - alert.alerted_to),
    due_at = coalesce(alert.due_at, excluded.due_at)
WHERE excluded.to_seq > alert.alerted_to
"""

TAKE_DUE = """
UPDATE notification_alerts AS alert SET due_at = $2
FROM (SELECT user_id, channel_id FROM notification_alerts WHERE due_at <= $1 ORDER BY due_at LIMIT $3
      FOR UPDATE SKIP LOCKED) AS due
WHERE alert.user_id = due.user_id AND alert.channel_id = due.channel_id
RETURNING alert.user_id, alert.channel_id, alert.alerted_to + 1 AS from_seq, alert.to_seq, alert.message_count
"""

STILL_HELD = """
SELECT alert.user_id, alert.channel_id FROM notification_alerts AS alert
JOIN unnest($1::text[], $2::uuid[], $3::bigint[]) AS held (user_id, channel_id, from_seq)
  ON alert.user_id = held.user_id AND alert.channel_id = held.channel_id AND alert.alerted_to + 1 = held.from_seq
WHERE alert.due_at = $4 ORDER BY alert.user_id, alert.channel_id FOR UPDATE OF alert
"""

CLOSE = """
UPDATE notification_alerts AS alert SET
    alerted_to = done.to_seq,
    to_seq = CASE WHEN alert.to_seq > done.to_seq THEN alert.to_seq END,
    due_at = CASE WHEN alert.to_seq > done.to_seq THEN $5::timestamptz END,
    message_count = greatest(alert.message_count - done.message_count, 0)
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::int[]) AS done (user_id, channel_id, to_seq, message_count)
WHERE alert.user_id = done.user_id AND alert.channel_id = done.channel_id
"""

PUT_OFF = """
UPDATE notification_alerts AS alert SET due_at = later.due_at
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS later (user_id, channel_id, due_at)
WHERE alert.user_id = later.user_id AND alert.channel_id = later.channel_id
"""

NEXT_DUE = "SELECT min(due_at) FROM notification_alerts WHERE due_at IS NOT NULL"

OPEN = "SELECT channel_id, due_at FROM notification_alerts WHERE user_id = $1 AND due_at IS NOT NULL"

BRING_FORWARD = """
UPDATE notification_alerts AS alert SET due_at = $2
FROM (SELECT user_id, channel_id FROM notification_alerts WHERE user_id = ANY($1) AND due_at > $2
      ORDER BY user_id, channel_id FOR UPDATE) AS theirs
WHERE alert.user_id = theirs.user_id AND alert.channel_id = theirs.channel_id
"""


async def hear(connection: Connection, heard: Sequence[Heard]) -> None:
    """Start or stretch alerts, at most one entry a person and channel. The first message's delay is kept."""
    columns = zip(*map(msgspec.structs.astuple, heard), strict=True)
    await connection.execute(HEAR, *map(list, columns))


async def take_due(connection: Connection, now: datetime, hidden_until: datetime, limit: int) -> list[DueAlert]:
    """Take alerts that are due. Nobody else gets them before `hidden_until`, which marks them as ours."""
    rows = await connection.fetch(TAKE_DUE, now, hidden_until, limit)
    return [
        DueAlert(Span(row["user_id"], row["channel_id"], row["from_seq"], row["to_seq"]), row["message_count"])
        for row in rows
    ]


async def still_held(connection: Connection, taken: Sequence[DueAlert], hidden_until: datetime) -> list[DueAlert]:
    """Lock those that are still ours; the others were taken anew because we were too slow."""
    from_seqs = [alert.span.from_seq for alert in taken]
    rows = await connection.fetch(STILL_HELD, *_keys(taken), from_seqs, hidden_until)
    ours = {(row["user_id"], row["channel_id"]) for row in rows}
    return [alert for alert in taken if (alert.span.user_id, alert.span.channel_id) in ours]


async def close(connection: Connection, done: Sequence[DueAlert], next_due_at: datetime) -> None:
    """End alerts at the seq they were decided on. What was heard since begins another, due at `next_due_at`."""
    to_seqs = [alert.span.to_seq for alert in done]
    counts = [alert.message_count for alert in done]
    await connection.execute(CLOSE, *_keys(done), to_seqs, counts, next_due_at)


async def put_off(connection: Connection, later: Sequence[tuple[DueAlert, datetime]]) -> None:
    """Decide on these at another time; meanwhile they go on stretching."""
    await connection.execute(PUT_OFF, *_keys([alert for alert, _ in later]), [until for _, until in later])


async def next_due(connection: Connection) -> datetime | None:
    """Return when the next alert falls due; None if none is open."""
    due: datetime | None = await connection.fetchval(NEXT_DUE)
    return due


async def open_of(connection: Connection, user_id: str) -> dict[UUID, datetime]:
    """Return the channels of which a person is yet to be alerted, and when that falls due."""
    return {row["channel_id"]: row["due_at"] for row in await connection.fetch(OPEN, user_id)}


async def bring_forward(connection: Connection, user_ids: Sequence[str], now: datetime) -> None:
    """Let all open alerts of these people fall due now."""
    await connection.execute(BRING_FORWARD, list(user_ids), now)


def _keys(alerts: Sequence[DueAlert]) -> tuple[list[str], list[UUID]]:
    return [alert.span.user_id for alert in alerts], [alert.span.channel_id for alert in alerts]
