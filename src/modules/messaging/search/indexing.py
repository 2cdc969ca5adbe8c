"""Brings the search index to the end of the log, piece by piece; or makes it anew.

Each piece is one transaction under the locks of the channels' progress: entries and progress commit together.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from kernel.database import Connection, Database, transaction_on
from modules.messaging.fold import Folded
from modules.messaging.search import store
from modules.messaging.search.blocks import BLOCK, Position
from modules.messaging.search.folding import fold
from modules.messaging.search.store import Entry, Stretch
from modules.messaging.search.terms import block_key, vector
from modules.messaging.search.turns import in_turns
from modules.messaging.store import messages

RECORDS = 1_000
"""Indexed in one transaction."""
REBUILT = 1_000
"""Channels looked at together by a rebuild."""
LOCKED_S = 0.1


class Piece(NamedTuple):
    """What a transaction left to do, and how long this process computed for it."""

    left: list[UUID]
    computed_s: float


async def index(database: Database, channels: Collection[UUID]) -> Piece:
    """Index the next `RECORDS` records of these channels; those that another transaction works on are left.

    Raises:
        UnavailableError: PostgreSQL is away; nothing was done, or all of it.
    """
    async with database.connection() as connection:
        await connection.execute(store.OPEN, list(channels))
        async with transaction_on(connection) as tx:
            claimed = await store.claim(tx.connection, channels)
            stretches = list(_portion(claimed))
            entries, computed_s = await _entries(tx.connection, stretches)
            await store.write(tx.connection, entries, stretches)
    ends = {one.channel_id: one.up_to for one in stretches}
    finished = {one.channel_id for one in claimed if ends.get(one.channel_id, one.after_seq) >= one.up_to}
    return Piece([channel_id for channel_id in channels if channel_id not in finished], computed_s)


async def rebuild(database: Database) -> int:
    """Forget the index and make it anew from the log, beside running servers; returns how many channels there were."""
    async with database.transaction() as tx:
        await tx.connection.execute(store.CLEAR)
    return await catch_up(database)


async def catch_up(database: Database) -> int:
    """Index until nothing lags, without rests; returns how many channels did."""
    seen: set[UUID] = set()
    while channels := await _lagging(database):
        seen.update(channels)
        while channels:
            left = (await index(database, channels)).left
            if left == channels:
                await asyncio.sleep(LOCKED_S)
            channels = left
    return len(seen)


async def _lagging(database: Database) -> list[UUID]:
    async with database.connection() as connection:
        return await store.lagging(connection, REBUILT)


def _portion(claimed: Sequence[Stretch]) -> Iterator[Stretch]:
    """Yield the first `RECORDS` records of all."""
    room = RECORDS
    for one in claimed:
        up_to = min(one.up_to, one.after_seq + room)
        if up_to > one.after_seq:
            yield one._replace(up_to=up_to)
            room -= up_to - one.after_seq


async def _entries(connection: Connection, stretches: Sequence[Stretch]) -> tuple[list[Entry], float]:
    """Return what the index is to say of the texts that these stretches concern, as they are by now."""
    ids = await store.concerned(connection, stretches, RECORDS) if stretches else []
    texts = (await messages.texts(connection, set(ids))).values() if ids else []
    return await in_turns(_entry, texts)


def _entry(text: Folded) -> Entry:
    record = text.record
    key = block_key(record.channel_id, record.seq // BLOCK)
    terms = "" if text.is_deleted else vector(key, fold(text.content))
    return Entry(Position(record.created_at, record.channel_id, record.seq), terms)
