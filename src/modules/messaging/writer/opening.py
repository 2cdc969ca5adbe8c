"""The first message of a context makes its channel, however many race for it.

The context's row is the lock that they queue at. The channel appears in the transaction of the message that it was
made for: when that message is refused there is no channel.
"""

from collections.abc import Collection
from functools import partial
from typing import NamedTuple
from uuid import UUID

import asyncpg

from kernel.clock import now, rfc3339
from kernel.database import Connection, Transaction
from kernel.errors import ParleyError
from kernel.ids import new_id
from modules.messaging.log.chain import Genesis, canonical_genesis, genesis_hash
from modules.messaging.writer.judge import refusal
from modules.messaging.writer.queries import channels_of
from modules.messaging.writer.send import Announcer, ContextKey, Send

LOCK_CONTEXTS = """
SELECT x.context_type, x.context_id, x.title, x.status, x.participants
FROM chat_contexts x
JOIN unnest($1::text[], $2::text[]) AS k (context_type, context_id) USING (context_type, context_id)
ORDER BY x.context_type, x.context_id FOR NO KEY UPDATE OF x
"""

OPEN = """
WITH channel AS (
    INSERT INTO chat_channels
        (id, kind, context_type, context_id, title, genesis, head_hash, last_record_at, created_at)
    VALUES ($1, 'context', $2, $3, $4, $5, $6, $7, $7)
)
INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
SELECT $1, p.key, p.value, $7 FROM jsonb_each_text($8::jsonb) AS p
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
            channel = await _open(connection, key, context["title"], context["participants"])
            tx.after_commit(partial(announcer.opened, channel, list(context["participants"])))
            opened.channels[key] = channel
        else:
            opened.refused.update({send: error for send, error in refusals.items() if error is not None})
    return opened


def _refusal(context: asyncpg.Record, send: Send) -> ParleyError | None:
    status = "active" if context["status"] == "open" else "archived"
    return refusal(context["context_type"], status, context["participants"].get(send.sender.user_id))


async def _open(connection: Connection, key: ContextKey, title: str | None, participants: dict[str, str]) -> UUID:
    channel, at = new_id(), now()
    genesis = canonical_genesis(
        Genesis(channel, key.context_id, key.context_type, rfc3339(at), "context", participants)
    )
    await connection.execute(OPEN, channel, *key, title, genesis, genesis_hash(genesis), at, participants)
    return channel
