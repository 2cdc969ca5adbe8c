"""The messaging writer: group commit.

Overview: sends wait in one queue. A single task takes what is there (at most `BATCH`), writes it as one transaction
and, after the commit, settles each send and announces each new record, in the order of their seqs. There is no timer:
while one batch is being written the next one gathers, so an idle server answers at once and a busy one shares the
cost of each commit among many.

Concurrency: in a process one batch is under way at a time; two at once were measured, and were no faster. Between
processes the channels' rows, locked in the order of their ids, keep order.

Guarantees:
- Nothing is settled as stored before its commit.
- What is submitted one after the other is stored in that order, unless it is refused.
- In a channel seqs are 1..N without gap: a batch is committed only on top of the heads that it was decided on, which
  hold under the row locks, in the statement or transaction that inserts (see `paths`).
- The same (channel, sender, client_id) is stored once; another body under it is refused.
- A bad send fails alone. When PostgreSQL goes away the whole batch is told that it may try again: whether the commit
  happened is unknown then, and repeating a client_id settles it.
- The queue is bounded: past `MAX_WAITING` sends are refused with a retryable error at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import asyncpg
import structlog

from bus import Bus
from kernel.database import Database
from kernel.errors import ParleyError, UnavailableError
from kernel.telemetry.metrics import MESSAGES, WRITER_BATCH, WRITER_COMMIT
from modules.messaging.log.record import Record
from modules.messaging.writer.paths import Paths, Written
from modules.messaging.writer.send import Announcer, Outcome, Send, Stored

log = structlog.get_logger(__name__)

BATCH = 256
MAX_WAITING = 10_000
STOP_WITHIN_S = 5


class Writer:
    """Appends messages to channels. `start` it once; `stop` finishes what is queued."""

    def __init__(self, database: Database, bus: Bus, announcer: Announcer) -> None:
        self._paths = Paths(database, bus, announcer)
        self._bus = bus
        self._announcer = announcer
        self._waiting: deque[Send] = deque()
        self._wake = asyncio.Event()
        self._submitted = self._settled = 0
        self._progress = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def submit(self, send: Send) -> None:
        """Queue a send; its `settle` will be called.

        Raises:
            UnavailableError: too many are waiting, or the writer is stopping.
        """
        if self._stopping or len(self._waiting) >= MAX_WAITING:
            raise UnavailableError("Too many messages are waiting to be written")
        self._submitted += 1
        self._waiting.append(send)
        self._wake.set()

    async def settled(self) -> None:
        """Wait until everything submitted so far is settled."""
        goal = self._submitted
        while self._settled < goal:
            self._progress.clear()
            await self._progress.wait()

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Write what is queued, for at most five seconds; what is left is told to try again."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, STOP_WITHIN_S)
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
        unsettled = list(sends)
        try:
            await self._paths.write(sends, partial(self._release, unsettled))
        except ParleyError as error:
            self._settle_all(unsettled, error)
        except asyncio.CancelledError:
            self._settle_all(unsettled, UnavailableError("The server is stopping"))
            raise
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            await self._write_alone(sends, error)
        except Exception:
            log.exception("writer_failed", sends=len(sends))
            self._settle_all(unsettled, UnavailableError("The message could not be written; try again"))
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

    def _release(self, unsettled: list[Send], written: Written) -> None:
        """Tell everybody, in the order of the log: what stands before an ack was sent before it.

        The batch is committed and settled with that: a connection that breaks afterwards changes nothing.
        """
        for send, outcome in zip(unsettled, written.outcomes, strict=True):
            if isinstance(outcome, Stored) and not outcome.repeated:
                self._announce(outcome.record, send.origin)
            self._settle_one(send, outcome)
        unsettled.clear()
        MESSAGES.labels("text").inc(len(written.events))
        self._bus.release(written.events)

    def _announce(self, record: Record, origin: object | None) -> None:
        try:
            self._announcer.announce(record, origin)
        except Exception:
            log.exception("announce_failed")

    def _settle_all(self, sends: Sequence[Send], error: ParleyError) -> None:
        for send in sends:
            self._settle_one(send, error)

    def _settle_one(self, send: Send, outcome: Outcome) -> None:
        self._settled += 1
        self._progress.set()
        try:
            send.settle(outcome)
        except Exception:
            log.exception("settle_failed")
