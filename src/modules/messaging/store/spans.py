"""What has become of spans of messages."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kernel.database import Connection

SPANS = """
SELECT s.i, p.left_seq IS NULL AND p.user_id IS NOT NULL AS is_participant, p.muted_until,
    coalesce(u.unread, 0) AS unread, coalesce(u.names, '{}') AS names
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
    AS s (user_id, channel_id, from_seq, to_seq, i)
LEFT JOIN chat_participants p ON p.channel_id = s.channel_id AND p.user_id = s.user_id
LEFT JOIN LATERAL (
    SELECT sum(per_sender.texts)::bigint AS unread, array_agg(per_sender.name ORDER BY per_sender.latest) AS names
    FROM (
        SELECT count(*) AS texts, max(m.seq) AS latest,
            (array_agg(m.sender_display_name ORDER BY m.seq DESC))[1] AS name
        FROM chat_messages m
        WHERE m.channel_id = s.channel_id AND m.seq BETWEEN greatest(s.from_seq, p.last_read_seq + 1) AND s.to_seq
            AND m.seq > p.joined_seq AND m.kind = 'text' AND m.sender_id <> s.user_id
        GROUP BY m.sender_id
    ) per_sender
) u ON true
ORDER BY s.i
"""


async def spans(
    connection: Connection, keys: Sequence[tuple[str, UUID, int, int]]
) -> list[tuple[bool, datetime | None, int, list[str]]]:
    """Return (takes part, muted until, unread texts, their senders) of each (user, channel, from seq, to seq)."""
    rows = await connection.fetch(SPANS, *(list(column) for column in zip(*keys, strict=True)))
    return [(row["is_participant"], row["muted_until"], row["unread"], row["names"]) for row in rows]
