"""Rebuilding the fold: `chat_message_state` holds nothing that the log doesn't say."""

from uuid import UUID

from kernel.database import Connection, Database
from modules.messaging.fold import fold
from modules.messaging.log.record import COLUMNS, Record
from modules.messaging.store import messages

CHANNELS = """
SELECT channel_id FROM chat_messages WHERE target_id IS NOT NULL UNION SELECT channel_id FROM chat_message_state
"""
LOCK = "SELECT FROM chat_channels WHERE id = $1 FOR NO KEY UPDATE"
CONCERNED = f"""
SELECT {COLUMNS} FROM chat_messages WHERE channel_id = $1 AND (target_id IS NOT NULL OR id IN (
    SELECT target_id FROM chat_messages WHERE channel_id = $1 AND target_id IS NOT NULL
)) ORDER BY seq
"""
KEPT = "SELECT * FROM chat_message_state WHERE channel_id = $1 ORDER BY seq"
FORGET = "DELETE FROM chat_message_state WHERE channel_id = $1"


async def rebuild(database: Database) -> int:
    """Fold the log of every channel anew, one channel at a time; senders wait for no more than that.

    Returns:
        How many channels were not as their log says, and are now.
    """
    async with database.connection() as connection:
        channels = [row[0] for row in await connection.fetch(CHANNELS)]
    mended = 0
    for channel_id in channels:
        async with database.transaction() as tx:
            mended += await _rebuild(tx.connection, channel_id)
    return mended


async def _rebuild(connection: Connection, channel_id: UUID) -> bool:
    await connection.execute(LOCK, channel_id)
    before = await connection.fetch(KEPT, channel_id)
    records = [Record(*row.values()) for row in await connection.fetch(CONCERNED, channel_id)]
    await connection.execute(FORGET, channel_id)
    await messages.save(connection, list(fold(records)))
    return before != await connection.fetch(KEPT, channel_id)
