"""The messaging writer: group commit.

Overview: sends wait in one queue. A single task takes what is there (at most `BATCH`), writes it in one transaction
and, after the commit, settles each send and announces each new record, in the order of their seqs. There is no timer:
while one transaction commits, the next batch gathers, so an idle server answers at once and a busy one shares the
cost of each commit among many.

Concurrency: in a process one batch is under way at a time. Between processes the rows of the channels, locked in the
order of their ids, keep order.

Guarantees:
- Nothing is settled as stored before its commit.
- In a channel seqs are 1..N without gap, because they are given under the row lock, in the transaction that inserts.
- The same (channel, sender, client_id) is stored once; another body under it is refused.
- A bad send fails alone. When PostgreSQL goes away the whole batch is told that it may try again: whether the commit
  happened is unknown then, and repeating a client_id settles it.
- The queue is bounded: past `MAX_WAITING` sends are refused with a retryable error at once.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog

from bus import Bus
from kernel.database import Connection, Database, Transaction
from kernel.errors import ParleyError, UnavailableError
from kernel.telemetry.metrics import MESSAGES, WRITER_BATCH, WRITER_COMMIT
from modules.messaging.domain import preview
from modules.messaging.events import MessageCreated
from modules.messaging.log import append
from modules.messaging.log.record import Record
from modules.messaging.writer import queries
from modules.messaging.writer.judge import Batch, judge
from modules.messaging.writer.opening import open_channels
from modules.messaging.writer.send import Announcer, ContextKey, Outcome, Send, Stored

log = structlog.get_logger(__name__)

BATCH = 256
MAX_WAITING = 10_000
CACHED_CHANNELS = 5_000

Members = dict[str, str]


class Writer:
    """Appends messages to channels. `start` it once; `stop` finishes what is queued."""

    def __init__(self, database: Database, bus: Bus, announcer: Announcer) -> None:
        self._database = database
        self._bus = bus
        self._announcer = announcer
        self._waiting: deque[Send] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._contexts: OrderedDict[ContextKey, UUID] = OrderedDict()
        self._members: OrderedDict[UUID, tuple[int, Members]] = OrderedDict()

    def submit(self, send: Send) -> None:
        """Queue a send; its `settle` will be called.

        Raises:
            UnavailableError: too many are waiting, or the writer is stopping.
        """
        if self._stopping or len(self._waiting) >= MAX_WAITING:
            raise UnavailableError("Too many messages are waiting to be written")
        self._waiting.append(send)
        self._wake.set()

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Write what is queued, for at most five seconds; what is left is told to try again."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, 5)
        self._settle_all(list(self._waiting), UnavailableError("The server is stopping"))
        self._waiting.clear()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            if not self._waiting:
                if self._stopping:
                    return
                self._wake.clear()
                continue
            await self._write([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])

    async def _write(self, sends: list[Send]) -> None:
        started = time.perf_counter()
        try:
            async with self._database.transaction() as tx:
                await self._append(tx, sends)
        except ParleyError as error:
            self._settle_all(sends, error)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            await self._write_alone(sends, error)
        except Exception:
            log.exception("writer_failed", sends=len(sends))
            self._settle_all(sends, UnavailableError("The message could not be written; try again"))
        WRITER_BATCH.observe(len(sends))
        WRITER_COMMIT.observe(time.perf_counter() - started)

    async def _write_alone(self, sends: list[Send], error: Exception) -> None:
        """One send of the batch can't be stored: find out which, and store the others."""
        if len(sends) == 1:
            log.error("send_refused_by_database", error=type(error).__name__)
            self._settle_all(sends, ParleyError("The message can't be stored"))
            return
        for send in sends:
            await self._write([send])

    async def _append(self, tx: Transaction, sends: list[Send]) -> None:
        connection = tx.connection
        resolved = await self._resolve(tx, sends)
        channels = await queries.lock(connection, {channel for channel, _ in resolved if channel})
        members = await self._members_of(connection, channels)
        keys = [(c, s.sender.user_id, s.client_id) for c, s in resolved if c in channels]
        repeats = await queries.repeats(connection, keys) if keys else {}
        outcomes = judge(Batch(channels, members, repeats), resolved)
        records = [o.record for o in outcomes if isinstance(o, Stored) and not o.repeated]
        if records:
            touched = dict.fromkeys(r.channel_id for r in records)
            await append.insert(connection, records, [channels[c].head for c in touched])
            await self._bus.publish(tx, *(_event(r, channels[r.channel_id], members[r.channel_id]) for r in records))
        tx.after_commit(lambda: self._release(sends, outcomes))

    async def _resolve(self, tx: Transaction, sends: Sequence[Send]) -> list[tuple[UUID | None, Send]]:
        """Find each send's channel; a context's is remembered, because it never changes once committed."""
        asked = {send.target for send in sends if isinstance(send.target, ContextKey)}
        unknown = asked - self._contexts.keys()
        found: dict[ContextKey, UUID] = {}
        if unknown:
            found = await queries.channels_of(tx.connection, unknown)
            self._remember_contexts(found)
            first = [send for send in sends if send.target in unknown and send.target not in found]
            if first:
                found |= await open_channels(tx, first, self._announcer)
        return [(self._channel_of(send.target, found), send) for send in sends]

    def _channel_of(self, target: UUID | ContextKey, found: dict[ContextKey, UUID]) -> UUID | None:
        return found.get(target, self._contexts.get(target)) if isinstance(target, ContextKey) else target

    def _remember_contexts(self, found: dict[ContextKey, UUID]) -> None:
        self._contexts.update(found)
        while len(self._contexts) > CACHED_CHANNELS:
            self._contexts.popitem(last=False)

    async def _members_of(
        self, connection: Connection, channels: dict[UUID, queries.LockedChannel]
    ) -> dict[UUID, Members]:
        """Return the members of locked channels. What is remembered is right as long as `membership_seq` is."""
        stale = []
        for channel, locked in channels.items():
            version, _ = self._members.get(channel, (-1, {}))
            if version != locked.head.membership_seq:
                stale.append(channel)
        if stale:
            for channel, current in (await queries.members(connection, stale)).items():
                self._members[channel] = (channels[channel].head.membership_seq, current)
        members = {channel: self._members[channel][1] for channel in channels}
        while len(self._members) > CACHED_CHANNELS:
            self._members.popitem(last=False)
        return members

    def _release(self, sends: Sequence[Send], outcomes: Sequence[Outcome]) -> None:
        for send, outcome in zip(sends, outcomes, strict=True):
            if isinstance(outcome, Stored) and not outcome.repeated:
                MESSAGES.labels("text").inc()
                self._announcer.announce(outcome.record, send.origin)
            self._settle_one(send, outcome)

    def _settle_all(self, sends: Sequence[Send], error: ParleyError) -> None:
        for send in sends:
            self._settle_one(send, error)

    def _settle_one(self, send: Send, outcome: Outcome) -> None:
        try:
            send.settle(outcome)
        except Exception:
            log.exception("settle_failed")


def _event(record: Record, channel: queries.LockedChannel, members: Members) -> MessageCreated:
    return MessageCreated(
        channel_id=record.channel_id,
        message_id=record.id,
        seq=record.seq,
        sender_id=record.sender_id or "",
        sender_name=record.sender_display_name or "",
        recipient_ids=[user for user in members if user != record.sender_id],
        message_preview=preview(record.content or ""),
        context_type=channel.context_type,
        context_id=channel.context_id,
    )
