"""Messages to be found: written by a real writer, indexed when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.schemas.search import SearchPage
from modules.messaging.search.cursors import position_of
from modules.messaging.search.folding import fold
from modules.messaging.search.indexer import Indexer
from modules.messaging.search.indexing import catch_up
from modules.messaging.search.query import Query
from modules.messaging.search.searching import Searching, Where
from modules.messaging.search.terms import TERM
from modules.messaging.writer import Change, Delete, Outcome, Revise, Stored
from tests.support.pens import Pen, make_context, pen
from tests.support.people import Somebody

ANA = {"ana": "worker", "ben": "supervisor"}


class Library:
    """Bookings of people, what they say there, and what they find of it. `said`: message id → what it says now."""

    def __init__(self, database: Database, writing: Pen) -> None:
        self.database = database
        self.said: dict[UUID, str] = {}
        self.channels: dict[str, UUID] = {}
        self.searching = Searching(database, Directory(database), Indexer(database), per_s=1e6, burst=1e6)
        self._pen = writing

    async def booking(self, name: str, *people: str) -> None:
        """Make a booking of these people; ana and ben unless said otherwise."""
        await make_context(self.database, name, dict.fromkeys(people, "worker") or ANA)

    async def say(self, booking: str, *texts: str, who: str = "ana") -> list[UUID]:
        """Write messages in order; returns their ids."""
        sent = await asyncio.gather(*(self._pen.submit(booking, who, uuid4().hex, text) for text in texts))
        records = [outcome.record for outcome in sent if isinstance(outcome, Stored)]
        assert len(records) == len(texts), sent
        self.said |= {record.id: text for record, text in zip(records, texts, strict=True)}
        self.channels[booking] = records[0].channel_id
        return [record.id for record in records]

    async def revise(self, message_id: UUID, text: str, who: str = "ana") -> None:
        """Give a message another content."""
        await self._change(message_id, who, Revise(uuid4().hex, text))
        self.said[message_id] = text

    async def delete(self, message_id: UUID, who: str = "ana") -> None:
        """Delete a message."""
        await self._change(message_id, who, Delete())
        del self.said[message_id]

    async def index(self) -> None:
        """Bring the index up to date."""
        await catch_up(self.database)

    async def page(
        self, q: str, who: str = "ana", *, where: Where | None = None, limit: int = 50, cursor: str | None = None
    ) -> SearchPage:
        """Search, and return a page."""
        before = position_of(cursor) if cursor else None
        return await self.searching.find(who, q, where or Where(), before=before, limit=limit)

    async def found(self, q: str, who: str = "ana", **how: Any) -> list[str]:
        """Search through all pages; returns what the messages say, newest first."""
        texts: list[str] = []
        cursor = None
        while True:
            page = await self.page(q, who, cursor=cursor, **how)
            texts += [item.message.content for item in page.items]
            cursor = page.next
            if cursor is None:
                return texts

    async def rows(self) -> int:
        """Return how many messages the index holds."""
        count: int = await self.database.pool.fetchval("SELECT count(*) FROM chat_search")
        return count

    async def _change(self, message_id: UUID, who: str, action: Revise | Delete) -> None:
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pen.writer.submit(Change(message_id, Somebody(who), action, outcome.set_result))
        assert isinstance(await outcome, Stored), outcome


@asynccontextmanager
async def library(database: Database) -> AsyncIterator[Library]:
    """Open an empty one."""
    async with pen(database) as writing:
        yield Library(database, writing)


def naive(q: str, texts: Iterable[str]) -> list[str]:
    """Search without an index, as it is documented."""
    wanted = list(TERM.finditer(fold(q)))
    return [text for text in texts if all(_has(fold(text), want) for want in wanted)]


def _has(folded: str, want: Any) -> bool:
    there = [match for match in TERM.finditer(folded) if (match.lastgroup == "run") == (want.lastgroup == "run")]
    if want.lastgroup == "run":
        return any(want.group() in match.group() for match in there)
    return any(match.group().startswith(want.group()) for match in there)


def highlighted(q: str, text: str) -> list[str] | None:
    """Return the highlighted parts of a text; None when it isn't found."""
    spans = Query.parse(q).highlights(text)
    return None if spans is None else [text[span.start : span.start + span.length] for span in spans]
