"""Sends pending deliveries, none of them twice.

Overview: a delivery is claimed (with a lease); decided on again; set to `sending`, committed; then the provider is
called, once; then what it said is recorded. Each delivery has its own transactions.

Concurrency: up to `CONCURRENCY` calls at once a process; any number of processes, claims skip each other's locks. A
step is taken only by whoever still holds the claim, so that a worker which was taken for dead can't go on.

Guarantees: a crash before `sending` is committed loses nothing and sends nothing: the lease runs out and another
worker begins again. A crash after it leaves `unknown`, never a second call. A signed report resolves it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from kernel.database import Database
from kernel.errors import UnavailableError
from kernel.ids import new_id
from modules.notifications.domain.decision import Send, Snapshot, decide
from modules.notifications.domain.delivery import NEXT, Delivery, abandoned, claimed, decided, settled
from modules.notifications.domain.outcomes import Ambiguous, Outcome, Refused
from modules.notifications.ledger import Ledger
from modules.notifications.snapshots import Snapshots
from modules.notifications.store import deliveries as rows
from modules.notifications.subscriptions import PushSubscriptions
from modules.notifications.transports import Outgoing, Transport
from modules.notifications.wording.texts import Texts
from modules.notifications.worker import POLL_S, Worker

log = structlog.get_logger(__name__)

CONCURRENCY = 8
LEASE = timedelta(seconds=60)
"""Longer than deciding and calling take together; safety doesn't depend on it, only how soon a crash is noticed."""
STOP_S = 5.0
OPEN = frozenset({"sending", "unknown"})
"""Where the outcome of a call is still awaited: `unknown` if we were slower than our lease."""
RECORD_AGAIN_S = (0.2, 1.0, 5.0)
"""What a provider said is worth some patience with a database that is away; after that it is `unknown`."""


def jitter() -> float:
    """Return a factor that keeps retries from coming all at once."""
    return random.uniform(0.75, 1.25)  # noqa: S311 - nobody gains by guessing it


class DeliveryWorker(Worker):
    """Serves the queue of deliveries."""

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        snapshots: Snapshots,
        subscriptions: PushSubscriptions,
        transports: Mapping[str, Transport],
        texts: Texts,
        link: Callable[[UUID], str],
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self._database = database
        self._ledger = ledger
        self._snapshots = snapshots
        self._subscriptions = subscriptions
        self._transports = transports
        self._texts = texts
        self._link = link
        self._clock = clock
        self._in_hand: set[asyncio.Task[None]] = set()

    async def round(self) -> float:
        """Take up what dead workers left, then as many deliveries as there are free hands."""
        await self.take_up()
        for delivery in await self.claim(CONCURRENCY - len(self._in_hand)):
            task = asyncio.create_task(self._deliver_or_log(delivery), name=f"delivery {delivery.id}")
            self._in_hand.add(task)
            task.add_done_callback(self._finished)
        return POLL_S

    async def finish(self) -> None:
        """Wait for the calls in hand, for at most `STOP_S`. What is cut off then becomes `unknown` by its lease."""
        if self._in_hand:
            _, unfinished = await asyncio.wait(self._in_hand, timeout=STOP_S)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def take_up(self) -> None:
        """Free what dead workers had claimed; what they may have sent is unknown from now on."""
        async with self._database.transaction() as tx:
            lost = [abandoned(one) for one in await rows.take_abandoned(tx.connection, self._clock(), 100)]
            await self._ledger.save(tx, lost)
        for delivery in lost:
            log.warning("delivery_abandoned", delivery_id=str(delivery.id), state=delivery.state)

    async def claim(self, limit: int) -> list[Delivery]:
        """Claim pending deliveries that are due."""
        if limit <= 0:
            return []
        now, claim_id = self._clock(), new_id()
        async with self._database.transaction() as tx:
            waiting = await rows.take_waiting(tx.connection, now, limit)
            mine = [claimed(one, claim_id, now + LEASE) for one in waiting]
            await self._ledger.save(tx, mine)
        return mine

    async def deliver(self, delivery: Delivery) -> None:
        """Bring one claimed delivery to its next rest: decide, commit to it, call, record."""
        begun = await self.begin(delivery)
        if begun is None:
            return
        sending, message = begun
        outcome = await self._transports[delivery.transport].send(message)
        await self._patiently(lambda: self.settle(sending, message, outcome))

    async def begin(self, delivery: Delivery) -> tuple[Delivery, Outgoing] | None:
        """Decide afresh and commit to sending; None when it isn't to be sent now, or is no longer ours."""
        if delivery.span is None:
            raise TypeError("Nobody knows what this delivery is about")
        [snapshot] = await self._snapshots.take([(delivery.span, delivery.transport)])
        decision = decide(snapshot)
        async with self._database.transaction() as tx:
            current = await rows.lock(tx.connection, delivery.id)
            if current is None or (current.state, current.claim_id) != ("claimed", delivery.claim_id):
                return None
            moved = decided(current, decision, self._clock() + LEASE)
            if isinstance(decision, Send):
                moved = msgspec.structs.replace(moved, message_count=snapshot.span.unread_count)
            await self._ledger.save(tx, [moved])
        return (moved, self._outgoing(moved, snapshot, decision)) if isinstance(decision, Send) else None

    def _outgoing(self, sending: Delivery, snapshot: Snapshot, decision: Send) -> Outgoing:
        locale = None if snapshot.recipient is None else snapshot.recipient.locale
        names, link = snapshot.span.sender_names, self._link(snapshot.channel_id)
        return Outgoing(
            delivery_id=sending.id,
            attempt=sending.attempts,
            user_id=sending.user_id,
            channel_id=sending.channel_id,
            category=sending.category,
            to=snapshot.target,
            words=self._texts.words(locale, sending.message_count, names, link),
            validity_s=decision.validity_s,
        )

    async def settle(self, sending: Delivery, message: Outgoing, outcome: Outcome) -> None:
        """Record what the provider said, unless its own signed report was faster."""
        async with self._database.transaction() as tx:
            current = await rows.lock(tx.connection, sending.id)
            if not isinstance(outcome, Ambiguous) and outcome.gone:
                await self._subscriptions.remove(tx.connection, outcome.gone)
            if current is None or current.attempts != sending.attempts:
                return
            moved = settled(sending, outcome, self._clock(), jitter())
            if current.state in OPEN and moved.state in NEXT[current.state]:
                await self._ledger.save(tx, [moved])
                if isinstance(outcome, Refused):
                    address = message.to.address(moved.transport)
                    await self._ledger.learn(tx, moved, outcome.fault, address)

    async def _deliver_or_log(self, delivery: Delivery) -> None:
        try:
            await self.deliver(delivery)
        except UnavailableError:
            pass  # logged where it was noticed; the lease brings it back
        except Exception:
            log.exception("delivery_failed", delivery_id=str(delivery.id))

    async def _patiently(self, record: Callable[[], Awaitable[None]]) -> None:
        for pause_s in RECORD_AGAIN_S:
            try:
                return await record()
            except UnavailableError:
                await asyncio.sleep(pause_s)
        return await record()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        self.wake()
