"""What others may ask about conversations: how much of a span of messages somebody has yet to read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from kernel.database import Database
from modules.messaging.store import spans as store


class Span(Protocol):
    """Messages `from_seq`..`to_seq` of a channel, as far as they concern one recipient."""

    @property
    def user_id(self) -> str:
        """The recipient."""
        ...

    @property
    def channel_id(self) -> UUID:
        """The channel."""
        ...

    @property
    def from_seq(self) -> int:
        """The first."""
        ...

    @property
    def to_seq(self) -> int:
        """The last."""
        ...


class SpanState(msgspec.Struct, frozen=True):
    """What has become of a span by now. `deleted_count`: those that would be unread, had they not been deleted."""

    is_participant: bool
    muted_until: datetime | None
    unread_count: int
    sender_names: tuple[str, ...]
    deleted_count: int
    unread_from_seq: int | None = None
    unread_since: datetime | None = None


class Conversations:
    """Answers from the log, the marks and the membership as they are now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def states(self, spans: Sequence[Span]) -> list[SpanState]:
        """Return the state of each span, in the order asked, in one query."""
        keys = [(span.user_id, span.channel_id, span.from_seq, span.to_seq) for span in spans]
        async with self._database.connection() as connection:
            rows = await store.spans(connection, keys) if keys else []
        return [SpanState(*row[:3], tuple(row.sender_names), *row[4:]) for row in rows]
