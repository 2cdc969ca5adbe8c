"""The bus: who publishes doesn't know who listens, and can't be hurt by them.

Overview: `publish` stages an event in the outbox, in the publisher's transaction, once for each durable consumer that
wants it at present. After the commit live subscribers are called in this process and the consumers' workers are woken.

Guarantees:
- An event and the change that it reports commit together or not at all.
- Live: in commit order on one connection, best effort, only in this process.
- Durable: at least one successful run of each consumer for each event, on any instance; the consumer's effects and
  the event's completion commit together, so the effects happen exactly once. No order is promised.
- A failing handler affects neither the publisher nor other handlers.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import structlog

from bus import outbox
from bus.consumer import Consumer, Handler
from bus.events import Event, event_name
from kernel.database import Database, Transaction

log = structlog.get_logger(__name__)

E = TypeVar("E", bound=Event)
LiveHandler: TypeAlias = Callable[[E], None]
Wanted: TypeAlias = Callable[[], bool]


def always() -> bool:
    """Return that it is wanted."""
    return True


class _Subscription(NamedTuple):
    consumer: Consumer
    wanted: Wanted


class Bus:
    """Routes events. Subscribe everything first, then `start`; `stop` ends the consumers."""

    def __init__(self) -> None:
        self._live: dict[type[Event], list[LiveHandler[Any]]] = defaultdict(list)
        self._consumers: dict[str, Consumer] = {}
        self._subscriptions: dict[type[Event], list[_Subscription]] = defaultdict(list)
        self._tasks: list[asyncio.Task[None]] = []

    def on(self, kind: type[E], handler: LiveHandler[E]) -> None:
        """Call `handler` in this process right after each commit of such an event. It must not block."""
        self._live[kind].append(handler)

    def consume(
        self, consumer: str, kind: type[E], handler: Handler[E], *, linger_s: float = 0, wanted: Wanted = always
    ) -> None:
        """Have `consumer` handle each such event durably, in batches.

        Args:
            consumer: a stable name: rows staged for it outlive this process.
            kind: the event type.
            handler: gets a transaction and a list of events; what it writes there commits with their completion.
            linger_s: how long to gather events after the first; 0 for the least delay.
            wanted: whether such events are wanted at present; while it says no, none is staged, and they cost nothing.
                It is asked at every event, so it must only look something up. What it answers on this instance
                counts for what is published here: whoever can't tell says yes, and drops what wasn't wanted.
        """
        target = self._consumers.setdefault(consumer, Consumer(consumer))
        target.add(kind, handler, linger_s)
        self._subscriptions[kind].append(_Subscription(target, wanted))

    async def publish(self, tx: Transaction, *events: Event) -> None:
        """Stage `events` in `tx`; they are released when it commits and vanish when it doesn't."""
        rows = self.stage(events)
        if rows.ids:
            await tx.connection.execute(outbox.STAGE, *rows)
        tx.after_commit(lambda: self.release(events))

    def stage(self, events: Sequence[Event]) -> outbox.Rows:
        """Return the outbox rows of `events`, for who writes them in a statement of its own.

        That statement contains `outbox.stage_sql`, and `release` is due after its commit; others call `publish`.
        """
        return outbox.rows_for((event, [c.name for c in self._wanting(type(event))]) for event in events)

    def start(self, database: Database) -> None:
        """Begin to serve the outbox."""
        self._tasks = [
            asyncio.create_task(consumer.run(database), name=f"consumer {consumer.name}")
            for consumer in self._consumers.values()
        ]

    async def stop(self) -> None:
        """Finish the batches in hand, for at most five seconds, then stop."""
        for consumer in self._consumers.values():
            consumer.stop()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=5)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def release(self, events: Sequence[Event]) -> None:
        """Call the live subscribers of committed events, in order, and wake their consumers."""
        for event in events:
            for handler in self._live[type(event)]:
                try:
                    handler(event)
                except Exception:
                    log.exception("live_handler_failed", event_type=event_name(type(event)))
            for consumer in self._wanting(type(event)):
                consumer.wake()

    def _wanting(self, kind: type[Event]) -> list[Consumer]:
        return [consumer for consumer, wanted in self._subscriptions[kind] if wanted()]
