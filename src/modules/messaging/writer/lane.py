"""One lane of the writer: a queue, and the task that empties it batch by batch."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog

from bus import Bus
from kernel.errors import ParleyError, UnavailableError
from kernel.telemetry.metrics import MESSAGES, WRITER_BATCH, WRITER_COMMIT
from modules.messaging.writer.paths import Paths, Written
from modules.messaging.writer.send import Announcer, ContextKey, Outcome, Send, Stored

log = structlog.get_logger(__name__)

BATCH = 256
STOP_WITHIN_S = 5


class Lane:
    """See `writer` for what it promises. `turn` is held while a batch is written and announced."""

    def __init__(self, paths: Paths, bus: Bus, announcer: Announcer) -> None:
        self._paths = paths
        self._bus = bus
        self._announcer = announcer
        self._waiting: deque[Send] = deque()
        self._targets: Counter[UUID | ContextKey] = Counter()
        self._wake = asyncio.Event()
        self.turn = asyncio.Lock()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many sends wait."""
        return len(self._waiting)

    def __contains__(self, target: UUID | ContextKey) -> bool:
        """Whether sends to this target, named so, wait or are being written."""
        return target in self._targets

    def submit(self, send: Send) -> None:
        """Queue a send."""
        self._waiting.append(send)
        self._targets[send.target] += 1
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
            async with self.turn:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                await self._write(batch)
                self._forget(batch)

    def _forget(self, batch: Sequence[Send]) -> None:
        for target, count in Counter(send.target for send in batch).items():
            self._targets[target] -= count
            if not self._targets[target]:
                del self._targets[target]

    async def _write(self, sends: list[Send]) -> None:
        started = time.perf_counter()
        try:
            self._release(sends, await self._paths.write(sends))
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

    def _release(self, sends: Sequence[Send], written: Written) -> None:
        """Tell everybody, in the order of the log: what stands before an ack was sent before it."""
        for send, outcome in zip(sends, written.outcomes, strict=True):
            if isinstance(outcome, Stored) and not outcome.repeated:
                self._announcer.announce(outcome.record, send.origin)
            self._settle_one(send, outcome)
        MESSAGES.labels("text").inc(len(written.events))
        self._bus.release(written.events)

    def _settle_all(self, sends: Sequence[Send], error: ParleyError) -> None:
        for send in sends:
            self._settle_one(send, error)

    def _settle_one(self, send: Send, outcome: Outcome) -> None:
        try:
            send.settle(outcome)
        except Exception:
            log.exception("settle_failed")
