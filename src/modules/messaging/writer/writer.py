"""The messaging writer: group commit.

Overview: messages, and changes of messages, wait in one queue. A single task takes what is there (at most `BATCH`),
writes it as one transaction and, after the commit, settles each request and announces each new record, in the order of
their seqs. There is no timer: while one batch is being written the next one gathers, so an idle server answers at once
and a busy one shares the cost of each commit among many.

Concurrency: in a process one batch is under way at a time; two at once were measured, and were no faster. Between
processes the channels' rows, locked in the order of their ids, keep order.

Guarantees:
- Nothing is settled as stored before its commit.
- What is submitted one after the other is stored in that order, unless it is refused.
- In a channel seqs are 1..N without gap: a batch is committed only on top of the heads that it was decided on, which
  hold under the row locks, in the statement or transaction that inserts (see `paths`).
- The same (channel, sender, client_id) is stored once; another body under it is refused.
- A bad request fails alone. When PostgreSQL goes away the whole batch is told that it may try again: whether the commit
  happened is unknown then, and repeating a client_id settles it.
- The queue is bounded: past `MAX_WAITING` requests are refused with a retryable error at once.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import asyncpg
import structlog

from bus import Bus
from kernel.database import Database
from kernel.errors import ParleyError, UnavailableError
from kernel.telemetry.metrics import MESSAGES, WRITER_BATCH, WRITER_COMMIT
from modules.messaging.writer.paths import Paths, Written
from modules.messaging.writer.send import Announcer, Outcome, Request, Stored

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
        self._waiting: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._submitted = self._settled = 0
        self._progress = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def submit(self, request: Request) -> None:
        """Queue a request; its `settle` will be called.

        Raises:
            UnavailableError: too many are waiting, or the writer is stopping.
        """
        if self._stopping or len(self._waiting) >= MAX_WAITING:
            raise UnavailableError("Too many messages are waiting to be written")
        self._submitted += 1
        self._waiting.append(request)
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

    async def _write(self, requests: list[Request]) -> None:
        started = time.perf_counter()
        unsettled = list(requests)
        try:
            await self._paths.write(requests, partial(self._release, unsettled))
        except ParleyError as error:
            self._settle_all(unsettled, error)
        except asyncio.CancelledError:
            self._settle_all(unsettled, UnavailableError("The server is stopping"))
            raise
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            await self._write_alone(requests, error)
        except Exception:
            log.exception("writer_failed", requests=len(requests))
            self._settle_all(unsettled, UnavailableError("The message could not be written; try again"))
        WRITER_BATCH.observe(len(requests))
        WRITER_COMMIT.observe(time.perf_counter() - started)

    async def _write_alone(self, requests: list[Request], error: Exception) -> None:
        """One request of the batch can't be stored: find out which, and store the others."""
        if len(requests) == 1:
            log.error("send_refused_by_database", error=type(error).__name__)
            self._settle_all(requests, ParleyError("The message can't be stored"))
            return
        for request in requests:
            await self._write([request])

    def _release(self, unsettled: list[Request], written: Written) -> None:
        """Tell everybody, in the order of the log: what stands before an ack was sent before it.

        The batch is committed and settled with that: a connection that breaks afterwards changes nothing.
        """
        for request, outcome in zip(unsettled, written.outcomes, strict=True):
            if isinstance(outcome, Stored) and not outcome.repeated:
                self._announce(outcome, request.origin)
            self._settle_one(request, outcome)
        unsettled.clear()
        _count(written.outcomes)
        self._bus.release(written.events)

    def _announce(self, stored: Stored, origin: object | None) -> None:
        try:
            self._announcer.announce(stored.record, stored.folded, origin)
        except Exception:
            log.exception("announce_failed")

    def _settle_all(self, requests: Sequence[Request], error: ParleyError) -> None:
        for request in requests:
            self._settle_one(request, error)

    def _settle_one(self, request: Request, outcome: Outcome) -> None:
        self._settled += 1
        self._progress.set()
        try:
            request.settle(outcome)
        except Exception:
            log.exception("settle_failed")


def _count(outcomes: Sequence[Outcome]) -> None:
    kinds = Counter(o.record.kind for o in outcomes if isinstance(o, Stored) and not o.repeated)
    for kind, count in kinds.items():
        MESSAGES.labels(kind).inc(count)
