"""Begins logs: a channel, its founding members, and the genesis that names them, in one statement."""

from typing import Literal
from uuid import UUID

import msgspec

from kernel.clock import now, rfc3339
from kernel.database import Connection
from kernel.ids import new_id
from modules.messaging.log.chain import Genesis, canonical_genesis, genesis_hash

FOUND = """
WITH channel AS (
    INSERT INTO chat_channels (id, kind, context_type, context_id, title, direct_low, direct_high, genesis, head_hash,
        last_record_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
    ON CONFLICT (direct_low, direct_high) DO NOTHING RETURNING id
), members AS (
    INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
    SELECT channel.id, member.key, member.value, $10 FROM channel, jsonb_each_text($11::jsonb) AS member
)
SELECT id FROM channel
"""


class Founding(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel is from its beginning. `members`: user id → role; of a direct channel, two."""

    kind: Literal["context", "direct", "group"]
    members: dict[str, str]
    title: str | None = None
    context_type: str | None = None
    context_id: str | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """The two of a direct channel, by which it is the only one."""
        low, high = sorted(self.members)
        return low, high


async def found(connection: Connection, founding: Founding) -> UUID | None:
    """Make a channel; None when these two have a direct one already, after waiting for whoever is making it."""
    channel, at = new_id(), now()
    genesis = canonical_genesis(
        Genesis(
            channel_id=channel,
            context_id=founding.context_id,
            context_type=founding.context_type,
            created_at=rfc3339(at),
            kind=founding.kind,
            participants=founding.members,
        )
    )
    made: UUID | None = await connection.fetchval(
        FOUND,
        channel,
        founding.kind,
        founding.context_type,
        founding.context_id,
        founding.title,
        *(founding.pair if founding.kind == "direct" else (None, None)),
        genesis,
        genesis_hash(genesis),
        at,
        founding.members,
    )
    return made
