"""What others may ask about unread messages: the counts of the inbox, for many people at once.

Guarantees: `unread` is counted by the one definition of `store.unread`, so it is what the inbox, a channel and `ready`
say; each call is one query, whatever it asks for, and its answers are of one snapshot.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec

from kernel.database import Database
from modules.messaging.store import counts as store
from modules.messaging.store.counts import Pair


class Unread(msgspec.Struct, frozen=True):
    """What somebody has yet to read in a channel, and altogether.

    `total_unread` is of all channels that they take part in, muted and archived ones too, as in `ready`. `sender_id`,
    `message_id` and `created_at` are those of the newest unread message in the channel; None where there is none. In
    a channel that they don't take part in nothing is unread.
    """

    user_id: str
    channel_id: UUID
    unread_count: int
    total_unread: int
    sender_id: str | None
    message_id: UUID | None
    created_at: datetime | None


class Counts:
    """Answers from the log, the marks and the membership as they are now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unread(self, pairs: Collection[Pair]) -> list[Unread]:
        """Return what these people have yet to read in these channels; each pair is asked for once."""
        if not pairs:
            return []
        async with self._database.connection() as connection:
            return [Unread(*row) for row in await store.counts(connection, pairs)]

    async def changed(self, user_ids: Collection[str], since: datetime) -> list[Pair]:
        """Return the (user, channel) of these people of which the counts may have changed since then.

        Channels that they have left since aren't among them.
        """
        async with self._database.connection() as connection:
            return await store.changed(connection, user_ids, since)

    async def members(self, channels: Collection[UUID]) -> list[Pair]:
        """Return (user, channel) of everybody who takes part in these channels."""
        async with self._database.connection() as connection:
            return await store.members(connection, channels)
