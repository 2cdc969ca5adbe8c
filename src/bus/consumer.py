"""A durable consumer: claims its rows of the outbox in batches and runs its handlers on them.

Concurrency: one task a process and consumer; several processes share the work through SKIP LOCKED.

Guarantees: a batch's effects and the removal of its rows commit together. When a batch fails, its rows are tried
one by one, so that a bad event fails alone: it is put off with exponential back-off and, after `MAX_ATTEMPTS`, left
as a dead letter. What the killed process had claimed is free again at once, because a claim is only a row lock.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import structlog

from bus import outbox
from bus.events import Event, event_name
from kernel.backoff import spread
from kernel.database import Database, Transaction
from kernel.errors import UnavailableError

log = structlog.get_logger(__name__)

BATCH = 500
POLL_S = 1.0
MAX_ATTEMPTS = 12
"""With the back-off below: given up after roughly an hour."""
MAX_BACKOFF_S = 900.0

E = TypeVar("E", bound=Event)
Handler: TypeAlias = Callable[[Transaction, list[E]], Awaitable[None]]


class HandlingFailedError(Exception):
    """A handler raised, or (`hopeless`) there is none that could read the event."""

    def __init__(self, cause: Exception, *, hopeless: bool = False) -> None:
        super().__init__()
        self.name = type(cause).__name__
        self.hopeless = hopeless


def backoff_s(attempts: int) -> float:
    """Return the delay after the given number of failures: 1, 2, 4 … seconds, half of it jitter."""
    ceiling = min(MAX_BACKOFF_S, 2.0**attempts)
    return ceiling * spread(0.5, 1.0)


class Consumer:
    """One named consumer and its handlers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: dict[str, Handler[Any]] = {}
        self._decoders: dict[str, msgspec.json.Decoder[Event]] = {}
        self._linger_s = 0.0
        self._awake = asyncio.Event()
        self._stopping = False

    def add(self, kind: type[Event], handler: Handler[Any], linger_s: float) -> None:
        """Handle one more event type; there is one handler for each."""
        name = event_name(kind)
        if name in self._handlers:
            raise ValueError(f"{self.name} handles {name} already")
        self._handlers[name] = handler
        self._decoders[name] = msgspec.json.Decoder(kind)
        self._linger_s = max(self._linger_s, linger_s)

    def wake(self) -> None:
        """Look at the outbox soon."""
        self._awake.set()

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping = True
        self._awake.set()

    async def run(self, database: Database) -> None:
        """Serve until stopped; a database that is away is waited for."""
        while not self._stopping:
            try:
                claimed = await self.run_batch(database)
            except UnavailableError:
                claimed = 0
            except Exception:
                log.exception("consumer_failed", consumer=self.name)
                claimed = 0
            if claimed < BATCH:
                await self._rest()

    async def run_batch(self, database: Database) -> int:
        """Handle what is due now, at most `BATCH` events; returns how many rows were claimed."""
        rows: list[asyncpg.Record] = []
        try:
            async with database.transaction() as tx:
                rows = await outbox.claim(tx.connection, self.name, BATCH)
                await self._handle(tx, rows)
                await outbox.complete(tx.connection, [row["id"] for row in rows])
        except HandlingFailedError as error:
            log.warning("consumer_batch_failed", consumer=self.name, error=error.name, rows=len(rows))
            for row in rows:
                await self._handle_alone(database, row["id"])
        return len(rows)

    async def _handle(self, tx: Transaction, rows: list[asyncpg.Record]) -> None:
        """Run the handlers. Whatever they raise, a time-out of theirs too, is about them and not about the database."""
        by_type: dict[str, list[Event]] = defaultdict(list)
        for row in rows:
            by_type[row["event_type"]].append(self._decoded(row))
        for event_type, events in by_type.items():
            try:
                await self._handlers[event_type](tx, events)
            except Exception as error:
                raise HandlingFailedError(error) from error

    def _decoded(self, row: asyncpg.Record) -> Event:
        try:
            return self._decoders[row["event_type"]].decode(row["payload"])
        except (KeyError, msgspec.MsgspecError) as error:
            raise HandlingFailedError(error, hopeless=True) from error

    async def _handle_alone(self, database: Database, row_id: UUID) -> None:
        async with database.transaction() as tx:
            row = await outbox.claim_one(tx.connection, row_id)
            if row is None:
                return
            try:
                async with tx.connection.transaction():
                    await self._handle(tx, [row])
                    await outbox.complete(tx.connection, [row_id])
            except HandlingFailedError as error:
                attempts = row["attempts"] + 1
                dead = error.hopeless or attempts >= MAX_ATTEMPTS
                log.exception("event_failed", consumer=self.name, event_type=row["event_type"], dead=dead)
                await outbox.fail(tx.connection, row_id, error.name, retry_after_s=backoff_s(attempts), dead=dead)

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), POLL_S)
        if self._awake.is_set() and self._linger_s and not self._stopping:
            await asyncio.sleep(self._linger_s)
        self._awake.clear()
