"""Open alerts. One row a person, thread and transport: the open alert, and how far they were alerted before.

Ranges don't overlap because each begins where the last one ended. They may be contiguous because the log is gap-free
and commits in order: when the event of seq 8 is heard, 7 is readable, so an alert up to 8 is about 7 as well, and
the event of 7, should it come later, changes nothing. Of an invitation the same is true: who is told of its reminder
knows of the invitation.

Whoever takes due alerts moves their `due_at` ahead: that hides them from others while they are decided on, without a
lock, and brings them back should the worker die. Rows are always locked in the order of their keys: no deadlocks.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.notifications.domain.alerts import DueAlert, Heard, OpenAlert
from modules.notifications.domain.verdicts import Postpone, noted
from modules.notifications.ports import Span

KEY = "user_id, thread_id, transport"
SAME = "alert.user_id = {0}.user_id AND alert.thread_id = {0}.thread_id AND alert.transport = {0}.transport"

HEAR = f"""
INSERT INTO notification_alerts AS alert ({KEY}, category, to_seq, message_count, begun_at, due_at)
SELECT user_id, thread_id, transport, category, seq, message_count, begun_at, begun_at + delay
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::int[], $5::timestamptz[], $6::text[])
    AS heard (user_id, thread_id, seq, message_count, begun_at, category)
CROSS JOIN unnest($7::text[], $8::interval[]) AS way (transport, delay)
WHERE transport <> 'push' OR user_id = ANY($9::text[])
ORDER BY {KEY}
ON CONFLICT ({KEY}) DO UPDATE SET
    to_seq = greatest(alert.to_seq, excluded.to_seq),
    message_count = least(alert.message_count + excluded.message_count,
                          greatest(alert.to_seq, excluded.to_seq) - alert.alerted_to),
    begun_at = coalesce(alert.begun_at, excluded.begun_at),
    due_at = coalesce(alert.due_at, excluded.due_at)
WHERE excluded.to_seq > alert.alerted_to
"""

TAKE_DUE = f"""
UPDATE notification_alerts AS alert SET due_at = $2
FROM (SELECT {KEY} FROM notification_alerts WHERE due_at <= $1 ORDER BY due_at LIMIT $3
      FOR UPDATE SKIP LOCKED) AS due
WHERE {SAME.format("due")}
RETURNING alert.user_id, alert.thread_id, alert.alerted_to + 1 AS from_seq, alert.to_seq, alert.category,
    alert.transport, alert.message_count
"""

STILL_HELD = f"""
SELECT alert.user_id, alert.thread_id, alert.transport FROM notification_alerts AS alert
JOIN unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[]) AS held ({KEY}, from_seq)
  ON {SAME.format("held")} AND alert.alerted_to + 1 = held.from_seq
WHERE alert.due_at = $5 ORDER BY alert.user_id, alert.thread_id, alert.transport FOR UPDATE OF alert
"""

CLOSE = f"""
UPDATE notification_alerts AS alert SET
    alerted_to = done.to_seq,
    to_seq = CASE WHEN alert.to_seq > done.to_seq THEN alert.to_seq END,
    begun_at = CASE WHEN alert.to_seq > done.to_seq THEN $6::timestamptz END,
    due_at = CASE WHEN alert.to_seq > done.to_seq THEN $6::timestamptz + way.delay END,
    message_count = greatest(alert.message_count - done.message_count, 0),
    held_by = NULL
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::int[]) AS done ({KEY}, to_seq, message_count)
LEFT JOIN unnest($7::text[], $8::interval[]) AS way (name, delay) ON way.name = done.transport
WHERE {SAME.format("done")}
"""

PUT_OFF = f"""
UPDATE notification_alerts AS alert SET due_at = later.due_at, held_by = later.held_by
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) AS later ({KEY}, due_at, held_by)
WHERE {SAME.format("later")}
"""

NEXT_DUE = "SELECT min(due_at) FROM notification_alerts WHERE due_at IS NOT NULL"

OPEN = f"""
SELECT {KEY}, category, alerted_to + 1 AS from_seq, to_seq, message_count, begun_at, due_at, held_by
FROM notification_alerts WHERE user_id = $1 AND due_at IS NOT NULL ORDER BY thread_id, due_at
"""

BRING_FORWARD = f"""
UPDATE notification_alerts AS alert SET due_at = $2
FROM (SELECT {KEY} FROM notification_alerts WHERE user_id = ANY($1) AND due_at > $2
      ORDER BY {KEY} FOR UPDATE) AS theirs
WHERE {SAME.format("theirs")}
"""


class Delays:
    """How long each transport waits after the first of the news, as columns."""

    def __init__(self, delays_s: Mapping[str, float]) -> None:
        self.pushes = "push" in delays_s
        self.columns = list(delays_s), [timedelta(seconds=seconds) for seconds in delays_s.values()]


async def hear(
    connection: Connection, heard: Sequence[Heard], delays: Delays, with_browsers: Collection[str] = ()
) -> None:
    """Start or stretch alerts of every transport; at most one entry a person and thread. The first delay is kept.

    Those of push only of people `with_browsers`: for the others there would be nothing to decide. Should somebody
    subscribe later, the next push tells of all that is unread by then.
    """
    columns = zip(*map(msgspec.structs.astuple, heard), strict=True)
    await connection.execute(HEAR, *map(list, columns), *delays.columns, list(with_browsers))


async def take_due(connection: Connection, now: datetime, hidden_until: datetime, limit: int) -> list[DueAlert]:
    """Take alerts that are due. Nobody else gets them before `hidden_until`, which marks them as ours."""
    rows = await connection.fetch(TAKE_DUE, now, hidden_until, limit)
    return [DueAlert(_span(row), row["transport"], row["message_count"]) for row in rows]


async def still_held(connection: Connection, taken: Sequence[DueAlert], hidden_until: datetime) -> list[DueAlert]:
    """Lock those that are still ours; the others were taken anew because we were too slow."""
    from_seqs = [alert.span.from_seq for alert in taken]
    rows = await connection.fetch(STILL_HELD, *_keys(taken), from_seqs, hidden_until)
    ours = {tuple(row.values()) for row in rows}
    return [alert for alert in taken if (alert.span.user_id, alert.span.thread_id, alert.transport) in ours]


async def close(connection: Connection, done: Sequence[DueAlert], now: datetime, delays: Delays) -> None:
    """End alerts at the seq they were decided on. What was heard since begins another, with its own delay."""
    to_seqs = [alert.span.to_seq for alert in done]
    counts = [alert.message_count for alert in done]
    await connection.execute(CLOSE, *_keys(done), to_seqs, counts, now, *delays.columns)


async def put_off(connection: Connection, later: Sequence[tuple[DueAlert, Postpone]]) -> None:
    """Decide on these at another time, and keep why; meanwhile they go on stretching."""
    keys = _keys([alert for alert, _ in later])
    await connection.execute(PUT_OFF, *keys, [why.until for _, why in later], [noted(why) for _, why in later])


async def next_due(connection: Connection) -> datetime | None:
    """Return when the next alert falls due; None if none is open."""
    due: datetime | None = await connection.fetchval(NEXT_DUE)
    return due


async def open_of(connection: Connection, user_id: str) -> list[OpenAlert]:
    """Return a person's open alerts, by thread, those due first at the front."""
    return [
        OpenAlert(
            span=_span(row),
            transport=row["transport"],
            message_count=row["message_count"],
            begun_at=row["begun_at"],
            due_at=row["due_at"],
            held_by=row["held_by"],
        )
        for row in await connection.fetch(OPEN, user_id)
    ]


async def bring_forward(connection: Connection, user_ids: Sequence[str], now: datetime) -> None:
    """Let all open alerts of these people fall due now: the decision puts off again what must wait."""
    await connection.execute(BRING_FORWARD, list(user_ids), now)


def _keys(alerts: Sequence[DueAlert]) -> tuple[list[str], list[UUID], list[str]]:
    spans = [alert.span for alert in alerts]
    return (
        [span.user_id for span in spans],
        [span.thread_id for span in spans],
        [alert.transport for alert in alerts],
    )


def _span(row: "asyncpg.Record") -> Span:
    return Span(row["user_id"], row["thread_id"], row["from_seq"], row["to_seq"], row["category"])
