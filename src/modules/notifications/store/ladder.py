"""How far each transport has come with a message, or another piece of news."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from kernel.database import Connection
from modules.notifications.domain.ladder import LADDER, Earlier, Progress

PROGRESS = """
SELECT asked.i, way.name, d.state, d.reason, d.due_at, d.updated_at,
    alert.due_at AS open_until, alert.held_by
FROM unnest($1::text[], $2::uuid[], $3::bigint[]) WITH ORDINALITY AS asked (user_id, thread_id, seq, i)
CROSS JOIN unnest($4::text[]) AS way (name)
LEFT JOIN notification_alerts AS alert ON alert.user_id = asked.user_id AND alert.thread_id = asked.thread_id
    AND alert.transport = way.name AND asked.seq > alert.alerted_to AND asked.seq <= alert.to_seq
LEFT JOIN LATERAL (
    SELECT * FROM notification_deliveries AS d
    WHERE d.user_id = asked.user_id AND d.thread_id = asked.thread_id AND d.transport = way.name
      AND d.to_seq >= asked.seq ORDER BY d.to_seq LIMIT 1
) AS d ON d.from_seq <= asked.seq
"""

PROGRESS_OF: Mapping[object, Progress] = {
    "pending": "to_come",
    "claimed": "to_come",
    "sending": "sending",
    "accepted": "accepted",
    "delivered": "accepted",
    "unknown": "unknown",
    "failed": "failed",
    "undelivered": "failed",
    "dead": "failed",
}

Question = tuple[str, UUID, int]
"""A person, a thread and a seq of it."""


async def progress(connection: Connection, questions: Sequence[Question]) -> list[Mapping[str, Earlier]]:
    """Return, for each seq asked for, how far each transport has come with it."""
    found: list[dict[str, Earlier]] = [{} for _ in questions]
    columns = [list(column) for column in zip(*questions, strict=True)] or [[], [], []]
    for row in await connection.fetch(PROGRESS, *columns, list(LADDER)):
        found[row["i"] - 1][row["name"]] = _earlier(row)
    return list(found)


def _earlier(row: "asyncpg.Record") -> Earlier:
    if row["state"] is None and row["open_until"] is not None:
        return Earlier(row["name"], "to_come", row["open_until"], row["held_by"])
    progress = PROGRESS_OF.get(row["state"], "none")
    at = row["due_at"] if progress == "to_come" else row["updated_at"]
    return Earlier(row["name"], progress, at, row["reason"])
