"""Contexts and their channels."""

from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec

from kernel.database import Connection

CHANNEL = """
SELECT c.id, c.kind, c.context_type, c.context_id, c.title, c.status, c.last_seq, c.last_message_at, c.created_at,
    (SELECT count(*) FROM chat_participants p WHERE p.channel_id = c.id AND p.left_seq IS NULL) AS participant_count
FROM chat_channels c WHERE c.context_type = $1 AND c.context_id = $2
"""


class ContextRow(msgspec.Struct, frozen=True):
    """A stored context; `participants` is user id → role, as the host last said."""

    context_type: str
    context_id: str
    title: str | None
    status: Literal["open", "closed"]
    metadata: dict[str, Any]
    participants: dict[str, str]
    created_at: datetime
    updated_at: datetime


CONTEXT_COLUMNS = ", ".join(ContextRow.__struct_fields__)


async def context(connection: Connection, context_type: str, context_id: str) -> ContextRow | None:
    """Return a context."""
    row = await connection.fetchrow(
        f"SELECT {CONTEXT_COLUMNS} FROM chat_contexts WHERE context_type = $1 AND context_id = $2",
        context_type,
        context_id,
    )
    return None if row is None else ContextRow(*row.values())


async def channel_of_context(connection: Connection, context_type: str, context_id: str) -> asyncpg.Record | None:
    """Return the columns of a ChannelView."""
    return await connection.fetchrow(CHANNEL, context_type, context_id)
