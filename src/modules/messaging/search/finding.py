"""Finds messages in somebody's channels, newest first.

Overview: the index gives candidates, block by block, the newest blocks first and only as many as are needed. What isn't
indexed yet, the tail, is read from the log. Every candidate is held against the text as it is now, so a deleted or
revised text is never found by what it said.

Concurrency: all of it happens in one snapshot of the database.

Guarantees:
- What is found matches, and everything that matches is found, however far the index lags, up to `TAIL` records that
  changed texts; past that `complete` is False.
- What a search costs depends on the searcher's own channels only, and grows with these at most.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from kernel.database import Connection
from modules.messaging.fold import Folded
from modules.messaging.search import store
from modules.messaging.search.blocks import Block, Position, Reach, newest_first
from modules.messaging.search.query import Query, Span
from modules.messaging.search.store import Hit, Stretch
from modules.messaging.search.terms import tsquery
from modules.messaging.search.turns import in_turns
from modules.messaging.store import messages
from modules.messaging.store.messages import END_OF_LOG

TAIL = 1_000
ATTEMPTS = 8
"""To fill a page, while what the index finds doesn't match."""
FIRST_BLOCKS, GROWTH, MOST_BLOCKS = 8, 8, 4_096


class Match(NamedTuple):
    """A text that has everything that was looked for."""

    position: Position
    text: Folded
    highlights: list[Span]


class Matches(NamedTuple):
    """Matches, newest first; where to go on, if there may be more; and whether everything was looked at."""

    items: list[Match]
    next: Position | None
    complete: bool


class Finding:
    """One search in one snapshot."""

    def __init__(self, connection: Connection, query: Query, reaches: Sequence[Reach]) -> None:
        self._connection = connection
        self._query = query
        self._reaches = reaches

    async def page(self, before: Position, limit: int) -> Matches:
        """Return the newest matches before a position, at most `limit`."""
        tail, complete = await self._tail()
        rest = [match for match in tail if match.position < before]
        found: list[Match] = []
        for _ in range(ATTEMPTS):
            hits = await self._hits(before, limit + 1)
            more = len(hits) > limit
            before = hits[-1].position if more else before
            indexed = await self._matching([hit.message_id for hit in hits])
            due = [match for match in rest if not more or match.position >= before]
            found += _merged(indexed, due)
            rest = [match for match in rest if match not in due]
            if not more or len(found) > limit:
                break
        if len(found) > limit:
            return Matches(found[:limit], found[limit - 1].position, complete)
        return Matches(found, before if more else None, complete)

    async def _tail(self) -> tuple[list[Match], bool]:
        """Return the matches among what isn't indexed, and whether that was all of it."""
        late = [Stretch(r.channel_id, r.indexed_seq, END_OF_LOG) for r in self._reaches if r.lags]
        ids = await store.concerned(self._connection, late, TAIL + 1) if late else []
        return _merged(await self._matching(list(dict.fromkeys(ids))[:TAIL]), []), len(ids) <= TAIL

    async def _hits(self, before: Position, limit: int) -> list[Hit]:
        """Return the newest candidates of the index before a position."""
        found: list[Hit] = []
        for blocks, older in _rounds(newest_first(self._reaches, before)):
            queries = [(block.channel_id, tsquery(block.key, self._query.parts)) for block in blocks]
            found += await store.hits(self._connection, queries, before, limit)
            found = sorted(found, key=lambda hit: hit.position, reverse=True)[:limit]
            if len(found) == limit and older and found[-1].position.at > older.until:
                break
        return found

    async def _matching(self, ids: Sequence[UUID]) -> list[Match]:
        texts = (await messages.texts(self._connection, ids)).values() if ids else []
        compared, _ = await in_turns(self._match, texts)
        return [match for match in compared if match is not None]

    def _match(self, text: Folded) -> Match | None:
        highlights = None if text.is_deleted else self._query.highlights(text.content)
        if highlights is None:
            return None
        record = text.record
        return Match(Position(record.created_at, record.channel_id, record.seq), text, highlights)


def _merged(some: Sequence[Match], others: Sequence[Match]) -> list[Match]:
    """Return both, each message once, newest first."""
    matches = {match.position: match for match in (*some, *others)}
    return [matches[position] for position in sorted(matches, reverse=True)]


def _rounds(blocks: Sequence[Block]) -> Iterator[tuple[list[Block], Block | None]]:
    """Yield blocks in growing portions, each with the first that comes after it."""
    start, size = 0, FIRST_BLOCKS
    while start < len(blocks):
        end = start + size
        yield list(islice(blocks, start, end)), blocks[end] if end < len(blocks) else None
        start, size = end, min(size * GROWTH, MOST_BLOCKS)
