"""What decides whether somebody may invite others."""

from collections.abc import Collection, Sequence

from kernel.database import Connection
from modules.contacts.domain.judging import Facts, Standing, Wish
from modules.contacts.domain.pairs import pair_of
from modules.contacts.store.invites import COLUMNS, invites_of

STANDINGS = """
SELECT other,
    EXISTS (SELECT FROM contact_blocks WHERE blocker_id = $1 AND blocked_id = other) AS blocks,
    EXISTS (SELECT FROM contact_blocks WHERE blocker_id = other AND blocked_id = $1) AS is_blocked,
    EXISTS (SELECT FROM contact_pairs AS p WHERE p.low_id = least($1 COLLATE "C", other)
                                             AND p.high_id = greatest($1 COLLATE "C", other)) AS is_contact,
    (SELECT max(responded_at) FROM contact_invites
     WHERE invitor_id = $1 AND invitee_id = other AND kind = 'contact' AND status = 'declined') AS declined_at
FROM unnest($2::text[]) AS other
"""

PENDING = f"""
SELECT waiting.* FROM unnest($1::text[], $2::text[]) AS pair (low_id, high_id), LATERAL (
    SELECT {COLUMNS} FROM contact_invites AS i
    WHERE least(i.invitor_id, i.invitee_id) = pair.low_id AND greatest(i.invitor_id, i.invitee_id) = pair.high_id
      AND i.status = 'pending' AND i.kind = 'contact' LIMIT 1) AS waiting
UNION ALL
SELECT waiting.* FROM unnest($3::text[], $4::uuid[]) AS place (user_id, at_id), LATERAL (
    SELECT {COLUMNS} FROM contact_invites AS i
    WHERE i.invitee_id = place.user_id AND i.channel_id = at_id
      AND i.status = 'pending' AND i.kind = 'channel' LIMIT 1) AS waiting
"""
"""A look into a unique index for each: joined, all that waits for anybody would be read. So there is one at most."""


async def about(connection: Connection, user_id: str, wishes: Sequence[Wish]) -> Facts:
    """Return what there is between somebody and those whom they wish to invite, in two queries."""
    others = sorted({wish.invitee_id for wish in wishes})
    pairs = [pair_of(user_id, other) for other in others]
    places = {(wish.invitee_id, wish.channel_id) for wish in wishes if wish.channel_id is not None}
    standings = await connection.fetch(STANDINGS, user_id, others)
    pending = await connection.fetch(PENDING, *_columns(pairs), *_columns(places))
    return Facts({row["other"]: Standing(*list(row.values())[1:]) for row in standings}, invites_of(pending))


def _columns(rows: Collection[tuple[object, object]]) -> tuple[list[object], list[object]]:
    return [one for one, _ in rows], [other for _, other in rows]
