"""Blocks: the pieces of channels that are looked through one by one, so that what a search costs is bounded.

A block is `BLOCK` consecutive seqs of a channel. Its key in the index is its own: looking through it touches nothing of
other blocks, other channels or other people, and finds at most `BLOCK` messages however common a word is.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from modules.messaging.search.terms import block_key

BLOCK = 2048


class Position(NamedTuple):
    """A message's place among all: by time, then by channel, then by seq."""

    at: datetime
    channel_id: UUID
    seq: int


END = Position(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1), 2**63 - 1)
"""After every message."""


class Block(NamedTuple):
    """A block with an indexed message: none is older than `since`, none newer than `until`."""

    channel_id: UUID
    number: int
    since: datetime | None
    until: datetime

    @property
    def key(self) -> str:
        """What its terms begin with in the index."""
        return block_key(self.channel_id, self.number)


class Reach(msgspec.Struct, frozen=True):
    """A channel of somebody's, and how much of it is indexed. `ends`: when the blocks before the last one ended."""

    channel_id: UUID
    context_type: str | None
    last_seq: int
    indexed_seq: int
    last_record_at: datetime
    ends: Sequence[datetime]

    @property
    def lags(self) -> bool:
        """Whether something isn't indexed yet."""
        return self.indexed_seq < self.last_seq

    def blocks(self) -> Iterator[Block]:
        """Yield its blocks, oldest first."""
        since = None
        if self.indexed_seq:
            for number, until in enumerate([*self.ends, self.last_record_at]):
                yield Block(self.channel_id, number, since, until)
                since = until


def newest_first(reaches: Sequence[Reach], before: Position) -> list[Block]:
    """Return the blocks that may hold something before a position, the one with the newest message first."""
    blocks = [block for reach in reaches for block in reach.blocks() if not block.since or block.since <= before.at]
    return sorted(blocks, key=lambda block: block.until, reverse=True)
