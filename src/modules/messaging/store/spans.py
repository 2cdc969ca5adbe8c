"""What has become of spans of messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kernel.database import Connection
from modules.messaging.store.unread import SINCE

SPANS = f"""
SELECT p.user_id IS NOT NULL AND p.left_seq IS NULL, p.muted_until,
    coalesce(u.unread, 0), coalesce(u.names, '{{}}'), coalesce(u.deleted, 0),
    u.first_seq, u.first_at
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
    AS s (user_id, channel_id, from_seq, to_seq, i)
LEFT JOIN chat_participants p ON p.channel_id = s.channel_id AND p.user_id = s.user_id
LEFT JOIN LATERAL (
    SELECT sum(texts)::bigint AS unread, sum(deleted)::bigint AS deleted,
        array_agg(name ORDER BY latest) FILTER (WHERE texts > 0) AS names,
        min(first_seq) AS first_seq, min(first_at) AS first_at -- times never run backwards within a channel
    FROM (
        SELECT count(*) FILTER (WHERE NOT gone) AS texts, count(*) FILTER (WHERE gone) AS deleted,
            max(seq) FILTER (WHERE NOT gone) AS latest,
            min(seq) FILTER (WHERE NOT gone) AS first_seq, min(created_at) FILTER (WHERE NOT gone) AS first_at,
            (array_agg(sender_display_name ORDER BY seq DESC) FILTER (WHERE NOT gone))[1] AS name
        FROM (
            SELECT m.seq, m.created_at, m.sender_id, m.sender_display_name, EXISTS (
                SELECT FROM chat_message_state d
                WHERE d.channel_id = m.channel_id AND d.seq = m.seq AND d.deleted_seq IS NOT NULL
            ) AS gone
            FROM chat_messages m
            WHERE m.channel_id = s.channel_id AND m.seq BETWEEN greatest(s.from_seq, {SINCE} + 1) AND s.to_seq
                AND m.kind = 'text' AND m.sender_id <> s.user_id
        ) texts GROUP BY sender_id
    ) by_sender
) u ON true
ORDER BY s.i
"""


class State(NamedTuple):
    """What a span is now; counted is what is past the recipient's read mark and joining."""

    is_participant: bool
    muted_until: datetime | None
    unread: int
    sender_names: list[str]
    deleted: int
    first_unread_seq: int | None
    unread_since: datetime | None


async def spans(connection: Connection, keys: Sequence[tuple[str, UUID, int, int]]) -> list[State]:
    """Return the state of each (user, channel, from seq, to seq); who said the last stands last among the names."""
    rows = await connection.fetch(SPANS, *(list(column) for column in zip(*keys, strict=True)))
    return [State(*row.values()) for row in rows]
