"""How far somebody has come."""

from uuid import UUID

import msgspec

from kernel.incoming import Incoming
from modules.messaging.schemas.base import Seq


class PutMark(Incoming, frozen=True):
    """How far somebody has read, or been delivered to."""

    seq: Seq


class Marks(msgspec.Struct, frozen=True):
    """Somebody's marks in a channel."""

    channel_id: UUID
    user_id: str
    last_delivered_seq: int
    last_read_seq: int
