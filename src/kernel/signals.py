"""Signals between instances, by PostgreSQL's LISTEN and NOTIFY: for what is rare and must not be missed.

Overview: whoever changes something inside a transaction also notifies there, by `notify` or by a trigger; every
instance hears it at the commit. Unlike the backplane this works whenever the change itself could be made.

Concurrency: one connection and one task a process; handlers run on the event loop and must not block.

Guarantees: a signal is heard after its transaction's commit, and never after a rollback; those of one transaction in
order. Signals sent while the connection was away are lost, which `on_doubt` tells after the next one listens. A
connection that died in silence is noticed in two seconds, by a query that nobody answers.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from kernel.backoff import delays
from kernel.database import Connection, Database

log = structlog.get_logger(__name__)

BEAT_S = 0.5
ANSWER_TIMEOUT_S = 1.5
RETRY_FIRST_S = 0.1
RETRY_LONGEST_S = 1.0


async def notify(connection: Connection, channel: str, *payloads: str) -> None:
    """Tell every instance that listens to `channel`, this one too, when the transaction of `connection` commits.

    Only for what is rare: commits with a NOTIFY queue up behind one lock for the whole cluster. A payload is an id or
    the like, since everybody with a login to the database can listen; equal ones in one transaction are heard once.

    Raises:
        asyncpg.InvalidParameterValueError: a payload has 8,000 bytes or more.
    """
    if payloads:
        await connection.execute("SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload", channel, payloads)


class Signals:
    """Hears what is notified. Handlers are given before `start`; one that raises is logged and hurts no other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._handlers: dict[str, list[Callable[[str], None]]] = {}
        self._doubters: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._waits = delays(RETRY_FIRST_S, RETRY_LONGEST_S)
        self._problem: type[Exception] | None = None
        self._may_have_missed = False
        self.connected = False
        """Whether signals are heard, as far as is known."""

    def on(self, channel: str, handler: Callable[[str], None]) -> None:
        """Call `handler` with the payload of each signal on a channel."""
        self._handlers.setdefault(channel, []).append(handler)

    def on_doubt(self, handler: Callable[[], None]) -> None:
        """Call `handler` when signals are heard again after a time in which any may have been missed."""
        self._doubters.append(handler)

    async def start(self) -> None:
        """Listen on the open database. While it is away it is tried for ever; `on_doubt` tells when it is back."""
        self._task = asyncio.create_task(self._run())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), ANSWER_TIMEOUT_S)
        self._may_have_missed = not self.connected

    async def stop(self) -> None:
        """Listen no more; no handler is called afterwards."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        """Listen and lose connections until stopped."""
        while self._task is not None:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it was, another connection is the answer
                self._report(error)
            self._tried.set()
            await asyncio.sleep(next(self._waits))

    async def _listen(self) -> None:
        """Listen on one connection until it is lost."""
        connection = await self._database.dedicated(timeout_s=ANSWER_TIMEOUT_S)
        try:
            for channel in self._handlers:
                await connection.add_listener(channel, self._heard)
            self._up()
            while True:
                await asyncio.sleep(BEAT_S)
                await connection.execute("SELECT 1")
        finally:
            self.connected, self._may_have_missed = False, True
            connection.terminate()

    def _up(self) -> None:
        self.connected, self._problem = True, None
        self._waits = delays(RETRY_FIRST_S, RETRY_LONGEST_S)
        self._tried.set()
        if self._may_have_missed:
            log.info("signals_back")
            for handler in self._doubters:
                self._call(handler)

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        for handler in self._handlers[channel]:
            self._call(handler, payload)

    def _call(self, handler: Callable[..., None], *what: object) -> None:
        if self._task is None:
            return
        try:
            handler(*what)
        except Exception:
            log.exception("signal_handler_failed")

    def _report(self, error: Exception) -> None:
        """Log why PostgreSQL is away, once for each reason."""
        if type(error) is not self._problem:
            self._problem = type(error)
            log.warning("signals_lost", error=type(error).__name__)
