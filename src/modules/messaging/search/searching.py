"""Search, as people ask for it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID

from kernel.database import Connection, Database
from kernel.ratelimit import RateLimit
from modules.messaging import views
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.ports import People
from modules.messaging.schemas.search import Found, Highlight, SearchPage
from modules.messaging.search import store
from modules.messaging.search.blocks import END, Position, Reach
from modules.messaging.search.cursors import cursor_of
from modules.messaging.search.finding import Finding, Match
from modules.messaging.search.indexer import Indexer
from modules.messaging.search.query import Query
from modules.messaging.store import marks
from modules.messaging.store.marks import Others

SEARCHES_PER_S = 5
SEARCH_BURST = 20
AT_ONCE = 3
"""Searches of a process: the other connections stay free for what is quick."""
PLANNING = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off"
"""For the tables as large as they are; compiling a plan would take longer than a search."""


class Where(NamedTuple):
    """Which of one's channels to look through; None means all."""

    channel_id: UUID | None = None
    context_type: str | None = None


class Searching:
    """Searches for people in what they take part in."""

    def __init__(
        self,
        database: Database,
        people: People,
        indexer: Indexer,
        *,
        per_s: float = SEARCHES_PER_S,
        burst: float = SEARCH_BURST,
    ) -> None:
        self._database = database
        self._people = people
        self._indexer = indexer
        self._rate = RateLimit("searches", per_s=per_s, burst=burst)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def find(self, user_id: str, q: str, where: Where, *, before: Position | None, limit: int) -> SearchPage:
        """Return the newest messages before a position that have every word of `q`.

        Raises:
            MalformedError: nothing in `q` can be looked for, or too much.
            ChannelNotFoundError: not a channel of theirs.
            TooManyRequestsError: too many searches.
        """
        query = Query.parse(q)
        self._rate.take(user_id)
        async with self._slots, self._snapshot() as connection:
            reaches = await self._reaches(connection, user_id, where)
            matches = await Finding(connection, query, reaches).page(before or END, limit)
            others = await marks.others_in(connection, {match.position.channel_id for match in matches.items}, user_id)
        hidden = await views.pseudonyms(self._people, [match.text.record for match in matches.items])
        items = [_found(match, hidden, user_id, others) for match in matches.items]
        return SearchPage(items, matches.next and cursor_of(matches.next), matches.complete)

    async def _reaches(self, connection: Connection, user_id: str, where: Where) -> list[Reach]:
        reaches = await store.reaches(connection, user_id, where.channel_id)
        if where.channel_id is not None and not reaches:
            raise ChannelNotFoundError
        self._indexer.wake(*(reach.channel_id for reach in reaches if reach.lags))
        return [reach for reach in reaches if where.context_type in {None, reach.context_type}]

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """Borrow a connection that sees one state of the database."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(PLANNING)
            yield connection


def _found(match: Match, hidden: views.Hidden, user_id: str, others: Mapping[UUID, Others]) -> Found:
    message = views.own(views.message(match.text, hidden), user_id, others[match.position.channel_id])
    return Found(message, [Highlight(*span) for span in match.highlights])
