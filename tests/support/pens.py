"""A writer in this process, without a server around it: what it stores, and what it tells."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from bus import Bus
from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.service.reading import Reading
from modules.messaging.writer import ContextKey, Outcome, Send, Stored, Writer
from realtime.hub import Hub
from tests.support.people import Somebody


class Pen:
    """Writes through a writer and waits for the outcome."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def submit(self, to: str | UUID, user: str, client_id: str, content: str = "hello") -> asyncio.Future[Outcome]:
        """Queue a message into the channel of a booking, or with this id."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        target = ContextKey("booking", to) if isinstance(to, str) else to
        self.writer.submit(Send(target, Somebody(user), client_id, content, outcome.set_result))
        return outcome

    async def stored(self, booking: str, user: str, client_id: str, content: str = "hello") -> Stored:
        """Write a message that must be stored."""
        outcome = await self.submit(booking, user, client_id, content)
        assert isinstance(outcome, Stored), outcome
        return outcome


@asynccontextmanager
async def pen(database: Database, bus: Bus | None = None) -> AsyncIterator[Pen]:
    """Run a writer."""
    broadcast = Broadcast(Hub(), Reading(database, Directory(database)))
    writer = Writer(database, bus or Bus(), broadcast)
    writer.start()
    try:
        yield Pen(writer)
    finally:
        await writer.stop()


async def make_context(database: Database, context_id: str, participants: Mapping[str, str]) -> None:
    """Make a booking as the host would."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO chat_contexts (context_type, context_id, participants) VALUES ('booking', $1, $2)",
            context_id,
            participants,
        )
