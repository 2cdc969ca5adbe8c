"""Who takes part in what, and where the logs of that end."""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.messaging.domain import MembershipChange
from modules.messaging.log.record import Record
from modules.messaging.store.unread import SINCE, UNREAD

MEMBERSHIP = """
SELECT c.last_seq FROM chat_channels c JOIN chat_participants p ON p.channel_id = c.id
WHERE c.id = $1 AND p.user_id = $2 AND p.left_seq IS NULL
"""


CHANNEL_IDS = "SELECT channel_id FROM chat_participants WHERE user_id = $1 AND left_seq IS NULL"


HEADS = f"""
SELECT h.channel_id, h.last_seq, h.last_read_seq, CASE WHEN h.place <= $2 THEN {UNREAD} END AS unread
FROM (
    SELECT p.channel_id, p.user_id, c.last_seq, p.last_read_seq, {SINCE} AS since,
        row_number() OVER (ORDER BY coalesce(c.last_message_at, c.created_at) DESC, c.id DESC) AS place
    FROM chat_participants p
    CROSS JOIN LATERAL (SELECT * FROM chat_channels c WHERE c.id = p.channel_id LIMIT 1) c
    WHERE p.user_id = $1 AND p.left_seq IS NULL
) h ORDER BY h.place
"""


RESUMABLE = """
SELECT c.id, c.last_seq FROM chat_participants p JOIN chat_channels c ON c.id = p.channel_id
WHERE p.user_id = $1 AND p.left_seq IS NULL AND c.id = ANY($2::uuid[])
"""


STANDING = """
SELECT c.context_type, c.status, p.role FROM chat_channels c JOIN chat_participants p ON p.channel_id = c.id
WHERE c.id = $1 AND p.user_id = $2 AND p.left_seq IS NULL
"""


async def standing(connection: Connection, channel_id: UUID, user_id: str) -> tuple[str | None, str, str] | None:
    """Return the type of a channel's context, the channel's status and somebody's role; None to who isn't in it."""
    row = await connection.fetchrow(STANDING, channel_id, user_id)
    return None if row is None else (row[0], row[1], row[2])


async def last_seq_for(connection: Connection, channel_id: UUID, user_id: str) -> int | None:
    """Return where a channel's log ends, to a participant; None to everybody else."""
    seq: int | None = await connection.fetchval(MEMBERSHIP, channel_id, user_id)
    return seq


async def channel_ids(connection: Connection, user_id: str) -> list[UUID]:
    """Return every channel that somebody takes part in."""
    return [row[0] for row in await connection.fetch(CHANNEL_IDS, user_id)]


async def heads(connection: Connection, user_id: str, limit: int) -> list[asyncpg.Record]:
    """Return (channel, last_seq, last_read_seq, unread) of somebody's channels, in the order of the inbox.

    Unread texts are counted for the first `limit` only.
    """
    return await connection.fetch(HEADS, user_id, limit)


async def resumable(connection: Connection, user_id: str, channels: Collection[UUID]) -> dict[UUID, int]:
    """Return where the logs end of those channels that somebody takes part in."""
    return {row[0]: row[1] for row in await connection.fetch(RESUMABLE, user_id, list(channels))}


LAST_SEQS = "SELECT id, last_seq FROM chat_channels WHERE id = ANY($1::uuid[])"

MEMBERS_OF = """
SELECT c.id, c.last_seq, p.user_id, p.joined_seq FROM chat_channels c CROSS JOIN LATERAL (
    SELECT * FROM chat_participants p WHERE p.channel_id = c.id AND p.left_seq + 0 IS NULL OFFSET 0
) p WHERE c.id = ANY($1::uuid[])
UNION ALL
SELECT c.id, c.last_seq, NULL, 0 FROM chat_channels c WHERE c.id = ANY($1::uuid[])
"""
"""Places are looked up for each channel (so say OFFSET and `+ 0`), whatever the planner believes of the table."""

CHANNELS_OF_ALL = (
    "SELECT DISTINCT channel_id FROM chat_participants WHERE user_id = ANY($1::text[]) AND left_seq IS NULL"
)


class Members(msgspec.Struct, frozen=True):
    """Who takes part in a channel, since which record; and where its log ends."""

    last_seq: int
    joined: dict[str, int]


async def last_seqs(connection: Connection, channels: Collection[UUID]) -> dict[UUID, int]:
    """Return where the logs of channels end."""
    return {row[0]: row[1] for row in await connection.fetch(LAST_SEQS, list(channels))}


async def members_of(connection: Connection, channels: Collection[UUID]) -> dict[UUID, Members]:
    """Return the present participants of those channels that there are; also of the empty ones."""
    found: dict[UUID, Members] = {}
    for channel_id, last_seq, user_id, joined_seq in await connection.fetch(MEMBERS_OF, list(channels)):
        members = found.setdefault(channel_id, Members(last_seq, {}))
        if user_id is not None:
            members.joined[user_id] = joined_seq
    return found


async def channels_of_all(connection: Connection, user_ids: Collection[str]) -> set[UUID]:
    """Return every channel that one of these people takes part in."""
    return {row[0] for row in await connection.fetch(CHANNELS_OF_ALL, list(user_ids))}


BY_STANDING = """
SELECT user_id, role FROM chat_participants WHERE channel_id = $1 AND left_seq IS NULL ORDER BY joined_seq, user_id
"""

PLACE = """
INSERT INTO chat_participants (channel_id, user_id, role, joined_seq, joined_at, left_seq, left_at)
SELECT channel_id, user_id, coalesce(role, ''), seq, at, CASE WHEN role IS NULL THEN seq END,
    CASE WHEN role IS NULL THEN at END
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
    AS change (channel_id, user_id, role, seq, at)
ORDER BY channel_id, user_id
ON CONFLICT (channel_id, user_id) DO UPDATE SET
    role = CASE WHEN excluded.left_seq IS NULL THEN excluded.role ELSE chat_participants.role END,
    joined_seq = CASE WHEN chat_participants.left_seq IS NULL THEN chat_participants.joined_seq
                      ELSE excluded.joined_seq END,
    joined_at = CASE WHEN chat_participants.left_seq IS NULL THEN chat_participants.joined_at
                     ELSE excluded.joined_at END,
    left_seq = excluded.left_seq, left_at = excluded.left_at
"""
"""In the order in which marks are locked, too, so that neither waits for the other."""


async def by_standing(connection: Connection, channel_id: UUID) -> dict[str, str]:
    """Return user id → role of who takes part in a channel, in the order in which they joined."""
    return {row[0]: row[1] for row in await connection.fetch(BY_STANDING, channel_id)}


async def place(connection: Connection, changes: Sequence[MembershipChange], records: Sequence[Record]) -> None:
    """Keep what changes, whose records these are, made of people's places; the same person at most once."""
    if changes:
        await connection.execute(
            PLACE,
            [record.channel_id for record in records],
            [change.user_id for change in changes],
            [change.role for change in changes],
            [record.seq for record in records],
            [record.created_at for record in records],
        )


CONVERSES = """
NOT EXISTS (SELECT FROM chat_channels c WHERE c.id = {place}.channel_id AND c.kind = 'direct' AND c.status = 'archived')
"""
"""A direct channel in which its two may not write is nothing that they share."""

ACQUAINTANCES = f"""
SELECT DISTINCT other.user_id FROM chat_participants other
JOIN chat_participants own ON own.channel_id = other.channel_id AND own.user_id = $1 AND own.left_seq IS NULL
WHERE other.user_id = ANY($2::text[]) AND other.left_seq IS NULL AND {CONVERSES.format(place="own")}
"""

ACQUAINTED = f"""
SELECT k.user_id, k.other_id FROM unnest($1::text[], $2::text[]) AS k (user_id, other_id)
WHERE EXISTS (
    SELECT FROM chat_participants own CROSS JOIN LATERAL (
        SELECT FROM chat_participants p
        WHERE p.channel_id = own.channel_id AND p.user_id = k.other_id AND p.left_seq + 0 IS NULL
            AND {CONVERSES.format(place="p")} OFFSET 0
    ) other WHERE own.user_id = k.user_id AND own.left_seq IS NULL
)
"""
"""One look-up for each channel of the first (so say OFFSET and `+ 0`), whatever the planner believes of the table."""

LEAVERS = """
SELECT DISTINCT p.user_id FROM unnest($1::uuid[]) AS k (channel_id) CROSS JOIN LATERAL (
    SELECT * FROM chat_participants p WHERE p.channel_id = k.channel_id AND p.left_seq IS NOT NULL OFFSET 0
) p
"""


async def acquaintances(connection: Connection, user_id: str, others: Collection[str]) -> set[str]:
    """Return those of `others` who converse in something that this person takes part in."""
    return {row[0] for row in await connection.fetch(ACQUAINTANCES, user_id, list(others))}


async def acquainted(connection: Connection, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of these pairs of people who converse in the same thing."""
    columns = [one for one, _ in pairs], [other for _, other in pairs]
    return {(row[0], row[1]) for row in await connection.fetch(ACQUAINTED, *columns)}


async def leavers(connection: Connection, channels: Collection[UUID]) -> set[str]:
    """Return who has left one of these channels, and isn't back."""
    return {row[0] for row in await connection.fetch(LEAVERS, list(channels))}
