"""Who was deactivated takes part in no group any more: else nobody might be left there who can change it.

Contexts are their hosts' to change, and a direct channel is for its two people as long as it exists.
"""

from uuid import UUID

from kernel.database import Transaction
from modules.identity.events import UserDeactivated
from modules.messaging.domain import departure
from modules.messaging.membership import Membership

CONSUMER = "messaging.departures"

GROUPS = """
SELECT DISTINCT c.id FROM chat_participants p JOIN chat_channels c ON c.id = p.channel_id
WHERE p.user_id = ANY($1::text[]) AND p.left_seq IS NULL AND c.kind = 'group' ORDER BY c.id
"""


class Departures:
    """A durable consumer of deactivations."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    async def deactivated(self, tx: Transaction, events: list[UserDeactivated]) -> None:
        """Take people out of their groups, each as if they had left it."""
        gone = {event.user_id for event in events}
        for row in await tx.connection.fetch(GROUPS, list(gone)):
            await self._leave(tx, row["id"], gone)

    async def _leave(self, tx: Transaction, channel_id: UUID, gone: set[str]) -> None:
        group = await self._membership.hold(tx, channel_id)
        leaving = [user for user in group.members if user in gone] if group is not None else []
        if group is not None and leaving:
            status = "archived" if len(leaving) == len(group.members) else None
            await self._membership.amend(tx, group, departure(group.members, *leaving), status=status)
