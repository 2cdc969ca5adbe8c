"""The first message of a context makes its channel, however many race for it.

The context's row is the lock that they queue at. The channel appears in the transaction of the message that it was
made for: when that message is refused there is no channel.
"""

from collections.abc import Collection
from functools import partial
from typing import NamedTuple
from uuid import UUID

import asyncpg

from kernel.database import Connection, Transaction
from kernel.errors import ParleyError
from modules.messaging.log.founding import Founding, found
from modules.messaging.writer.judge import refusal
from modules.messaging.writer.queries import channels_of
from modules.messaging.writer.send import Announcer, ContextKey, Send

LOCK_CONTEXTS = """
SELECT x.context_type, x.context_id, x.title, x.status, x.participants
FROM chat_contexts x
JOIN unnest($1::text[], $2::text[]) AS k (context_type, context_id) USING (context_type, context_id)
ORDER BY x.context_type, x.context_id FOR NO KEY UPDATE OF x
"""


class Opened(NamedTuple):
    """The channels that there are now, and why there is none for the sends to other contexts."""

    channels: dict[ContextKey, UUID]
    refused: dict[Send, ParleyError]


async def open_channels(tx: Transaction, sends: Collection[Send], announcer: Announcer) -> Opened:
    """Make the channels of the sends' contexts that are missing and for which a send qualifies."""
    connection = tx.connection
    keys = {send.target for send in sends if isinstance(send.target, ContextKey)}
    contexts = await connection.fetch(LOCK_CONTEXTS, [k.context_type for k in keys], [k.context_id for k in keys])
    opened = Opened(await channels_of(connection, keys), {})
    for context in contexts:
        key = ContextKey(context["context_type"], context["context_id"])
        if key in opened.channels:
            continue
        refusals = {send: _refusal(context, send) for send in sends if send.target == key}
        if None in refusals.values():
            opened.channels[key] = channel = await _found(connection, context)
            tx.after_commit(partial(announcer.opened, channel, list(context["participants"])))
        else:
            opened.refused.update({send: error for send, error in refusals.items() if error is not None})
    return opened


def _refusal(context: asyncpg.Record, send: Send) -> ParleyError | None:
    status = "active" if context["status"] == "open" else "archived"
    return refusal(context["context_type"], status, context["participants"].get(send.sender.user_id))


async def _found(connection: Connection, context: asyncpg.Record) -> UUID:
    channel = await found(
        connection,
        Founding(
            kind="context",
            members=context["participants"],
            title=context["title"],
            context_type=context["context_type"],
            context_id=context["context_id"],
        ),
    )
    assert channel is not None  # noqa: S101 - only direct channels can be there already
    return channel
