"""Queries about what people leave behind who are deactivated, a bounded part at a time."""

from collections.abc import Collection

from kernel.database import Connection
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import Pair
from modules.contacts.store.invites import COLUMNS, invites_of
from modules.contacts.store.pairs import pairs_of

PENDING = f"""
(SELECT {COLUMNS} FROM contact_invites WHERE invitee_id = ANY($1::text[]) AND status = 'pending' LIMIT $2) UNION ALL
(SELECT {COLUMNS} FROM contact_invites WHERE invitor_id = ANY($1::text[]) AND status = 'pending' LIMIT $2) LIMIT $2
"""

PAIRS = """
(SELECT low_id, high_id FROM contact_pairs WHERE low_id = ANY($1::text[]) LIMIT $2) UNION
(SELECT low_id, high_id FROM contact_pairs WHERE high_id = ANY($1::text[]) LIMIT $2) LIMIT $2
"""

UNBLOCK = "DELETE FROM contact_blocks WHERE blocker_id = ANY($1::text[])"


async def pending(connection: Connection, user_ids: Collection[str], limit: int) -> list[StoredInvite]:
    """Return pending invitations from and to these people."""
    return invites_of(await connection.fetch(PENDING, list(user_ids), limit))


async def pairs(connection: Connection, user_ids: Collection[str], limit: int) -> list[Pair]:
    """Return pairs of contacts that these people are in."""
    return pairs_of(await connection.fetch(PAIRS, list(user_ids), limit))


async def unblock(connection: Connection, user_ids: Collection[str]) -> None:
    """Forget whom these people had blocked."""
    await connection.execute(UNBLOCK, list(user_ids))
