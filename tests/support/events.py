"""An event and what handlers do with it: each number is to become exactly one effect."""

import asyncio
import sys
from collections import Counter

from bus import Bus, Event
from kernel.database import Connection, Database, Transaction

CONSUMER = "tests"
EFFECTS = """
CREATE TABLE effects (n int NOT NULL, by text NOT NULL);
GRANT ALL ON effects TO parley_runtime
"""


class Happened(Event, frozen=True, tag="test.thing.happened"):
    """Something happened for the nth time."""

    n: int


async def note(connection: Connection, n: int, by: str = "handler") -> None:
    """Leave an effect."""
    await connection.execute("INSERT INTO effects VALUES ($1, $2)", n, by)


async def publish(database: Database, bus: Bus, *numbers: int) -> None:
    """Publish in a transaction of its own."""
    async with database.transaction() as tx:
        await bus.publish(tx, *(Happened(n=n) for n in numbers))


async def noted(database: Database, by: str = "handler") -> Counter[int]:
    """Return how often each number had its effect."""
    rows = await database.pool.fetch("SELECT n FROM effects WHERE by = $1", by)
    return Counter(row["n"] for row in rows)


async def waiting(database: Database) -> int:
    """Return how many events are in the outbox, dead ones included."""
    return int(await database.pool.fetchval("SELECT count(*) FROM bus_outbox"))


async def handle(tx: Transaction, events: list[Happened]) -> None:
    """Leave an effect for each event, in the consumer's transaction."""
    for event in events:
        await note(tx.connection, event.n)


async def serve(dsn: str, *, careless: bool) -> None:
    """Consume until killed, slowly, so that a kill comes in the midst of a batch.

    Careless: effects are written on a connection of their own, past the consumer's transaction.
    """
    database = await Database.connect(dsn, size=4)

    async def slowly(tx: Transaction, events: list[Happened]) -> None:
        for event in events:
            if careless:
                await note_apart(database, event.n)
            else:
                await note(tx.connection, event.n)
            print(event.n, flush=True)
            await asyncio.sleep(0.002)

    bus = Bus()
    bus.consume(CONSUMER, Happened, slowly)
    bus.start(database)
    await asyncio.Event().wait()


async def note_apart(database: Database, n: int) -> None:
    """Leave an effect at once, whatever becomes of the consumer."""
    async with database.connection() as connection:
        await note(connection, n)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], careless=sys.argv[2] == "careless"))
