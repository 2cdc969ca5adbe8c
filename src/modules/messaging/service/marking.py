"""Marks: how far people have come. They only move forward, and never past the head."""

from uuid import UUID

from kernel.database import Database
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.schemas.marks import Marks
from modules.messaging.store import marks


class Marking:
    """Moves marks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark(self, user_id: str, channel_id: UUID, seq: int, *, read: bool) -> Marks:
        """Move the caller's marks forward; reading counts as delivery. Never back, never past the head."""
        async with self._database.connection() as connection:
            moved = await marks.mark(connection, channel_id, user_id, seq, read=read)
        if moved is None:
            raise ChannelNotFoundError
        return Marks(channel_id, user_id, *moved)
