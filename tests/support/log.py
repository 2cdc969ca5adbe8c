"""The log as the database holds it, and what may be wrong with it."""

from collections import Counter
from typing import Any

import asyncpg
import msgspec

from kernel.database import Database
from modules.messaging.fold import fresh
from modules.messaging.gateway import server_frames
from modules.messaging.log.record import COLUMNS, Record
from modules.messaging.log.verify import first_bad_seq
from modules.messaging.schemas.messages import Message
from modules.messaging.views import message
from tests.support.chat import Frame


class Log(msgspec.Struct, frozen=True):
    """A channel's whole log."""

    channel_id: str
    last_seq: int
    genesis: str
    head_hash: bytes
    records: list[Record]

    def frame(self, seq: int) -> Frame:
        """Return the durable frame that the record at `seq` is told by."""
        record = self.records[seq - 1]
        told = server_frames.frame_of(record, self._message(record))
        return msgspec.json.decode(told.payload, type=dict[str, Any])

    def _message(self, record: Record) -> Message | None:
        """Return the message that a text is, or that a revision leaves."""
        if record.kind not in {"text", "revision"}:
            return None
        text = fresh(next(r for r in self.records if r.id == (record.target_id or record.id)))
        for later in self.records[text.record.seq : record.seq]:
            if later.target_id == text.record.id:
                text.apply(later)
        return message(text)


async def read(dsn: str, name: str) -> Log:
    """Read the log of a channel, by its id or its context's, past all of the server's but the record's layout."""
    database = await Database.connect(dsn, size=1, role=None)
    try:
        async with database.connection() as connection:
            channel = await connection.fetchrow(
                "SELECT id, last_seq, genesis, head_hash FROM chat_channels WHERE $1 IN (context_id, id::text)", name
            )
            assert channel is not None, f"{name} has no channel"
            rows = await connection.fetch(
                f"SELECT {COLUMNS} FROM chat_messages WHERE channel_id = $1 ORDER BY seq", channel["id"]
            )
    finally:
        await database.close()
    return Log(
        channel_id=str(channel["id"]),
        last_seq=channel["last_seq"],
        genesis=channel["genesis"],
        head_hash=channel["head_hash"],
        records=[_record(row) for row in rows],
    )


def damage(log: Log) -> list[str]:
    """Return what is wrong with a log in itself: places, chain, head, repeated client_ids."""
    faults = []
    if [record.seq for record in log.records] != list(range(1, log.last_seq + 1)):
        faults.append(f"places: not 1..{log.last_seq}")
    if (bad := first_bad_seq(log.genesis, log.records)) is not None:
        faults.append(f"chain: broken at {bad}")
    if log.records and log.records[-1].hash != log.head_hash:
        faults.append("chain: the head is another")
    rows = Counter((r.sender_id, r.client_id) for r in log.records if r.client_id)
    faults += [f"twice: {client_id}" for (_, client_id), count in rows.items() if count > 1]
    return faults


def _record(row: asyncpg.Record) -> Record:
    return Record(*row.values())
