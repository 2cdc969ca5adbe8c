"""Sends pending deliveries, none of them twice.

Overview: a delivery is claimed (with a lease); decided on again; admitted and set to `sending`, committed; then the
provider is called, once; then what it said is recorded. Each delivery has its own transactions.

Concurrency: up to `CONCURRENCY` calls of each transport at once a process, so that a slow provider holds up no other
one; any number of processes, claims skip each other's locks. A step is taken only by whoever still holds the claim, so
that a worker which was taken for dead can't go on.

Guarantees: a crash before `sending` is committed loses nothing and sends nothing: the lease runs out and another
worker begins again. A crash after it leaves `unknown`, never a second call. A signed report resolves it. A provider
that fails isn't hammered (`breaker`); caps and the sender's pace hold over all processes (`admission`).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from kernel.clock import Clock
from kernel.database import Database, Transaction
from kernel.errors import UnavailableError
from kernel.ids import new_id
from kernel.worker import POLL_S, Worker
from modules.notifications.admission import LATER_S, Admission, Admitted, Charge, Deferred
from modules.notifications.breaker import Breaker, jitter
from modules.notifications.domain.decision import Decision, Send, Snapshot, decide
from modules.notifications.domain.delivery import NEXT, Delivery, abandoned, claimed, decided, deferred, settled
from modules.notifications.domain.gates import LONGEST_VALIDITY
from modules.notifications.domain.ladder import LADDER
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Outcome, Refused
from modules.notifications.ledger import Ledger
from modules.notifications.ports import Category
from modules.notifications.snapshots import Snapshots
from modules.notifications.store import circuits
from modules.notifications.store import deliveries as rows
from modules.notifications.subscriptions import PushSubscriptions
from modules.notifications.transports import Outgoing, Transport, Words
from modules.notifications.wording.texts import Texts

log = structlog.get_logger(__name__)

CONCURRENCY = 8
LEASE = timedelta(seconds=60)
"""Longer than deciding and calling take together; safety doesn't depend on it, only how soon a crash is noticed."""
STOP_S = 5.0
HANDOVER_S = 15
"""So long after the decision the provider has the message at the latest."""
OPEN = frozenset({"sending", "unknown"})
"""Where the outcome of a call is still awaited: `unknown` if we were slower than our lease."""
RECORD_AGAIN_S = (0.2, 1.0, 5.0)
"""What a provider said is worth some patience with a database that is away; after that it is `unknown`."""


class Begun(msgspec.Struct, frozen=True):
    """A delivery that is committed to: what to send, in how long, and what was counted for it."""

    sending: Delivery
    message: Outgoing
    wait_s: float = 0
    charge: Charge | None = None


class DeliveryWorker(Worker):
    """Serves the queue of deliveries."""

    def __init__(  # noqa: PLR0913 - the parts that it puts together
        self,
        *,
        database: Database,
        ledger: Ledger,
        snapshots: Snapshots,
        subscriptions: PushSubscriptions,
        transports: Mapping[str, Transport],
        admission: Admission,
        breaker: Breaker,
        texts: Texts,
        link: Callable[[Category, UUID], str],
        clock: Clock,
    ) -> None:
        super().__init__()
        self._database = database
        self._ledger = ledger
        self._snapshots = snapshots
        self._subscriptions = subscriptions
        self._transports = transports
        self._admission = admission
        self._breaker = breaker
        self._texts = texts
        self._link = link
        self._clock = clock
        self._in_hand: dict[asyncio.Task[None], str] = {}
        self._ahead: set[UUID] = set()
        self._rest_s = LATER_S

    async def round(self) -> float:
        """Take up what dead workers left, then as many deliveries of each transport as there are free hands."""
        await self.take_up()
        for delivery in await self.claim(CONCURRENCY):
            task = asyncio.create_task(self._deliver_or_log(delivery), name=f"delivery {delivery.id}")
            self._in_hand[task] = delivery.transport
            task.add_done_callback(self._finished)
        return min(POLL_S, self._rest_s)

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
        """Claim pending deliveries that are due, as far as `limit` of each transport isn't in hand already."""
        busy = Counter(self._in_hand.values())
        free = {name: max(0, limit - busy[name]) for name in LADDER}
        now, claim_id = self._clock(), new_id()
        async with self._database.transaction() as tx:
            hands = await self._admission.hands(tx.connection, free)
            mine = [
                claimed(one, claim_id, now + LEASE)
                for one in await rows.take_waiting(tx.connection, now, hands.free)
                if one.transport not in hands.ahead or await self._go_ahead(tx, one, now + LEASE)
            ]
            await self._ledger.save(tx, mine)
        self._rest_s = hands.rest_s
        return mine

    async def deliver(self, delivery: Delivery) -> None:
        """Bring one claimed delivery to its next rest: decide, commit to it, call, record."""
        begun = await self.begin(delivery)
        if begun is None:
            return
        await asyncio.sleep(begun.wait_s)
        outcome = await self._transports[delivery.transport].send(begun.message)
        await self._patiently(lambda: self.settle(begun, outcome))

    async def begin(self, delivery: Delivery) -> Begun | None:
        """Decide afresh and commit to sending; None when it isn't to be sent now, or is no longer ours."""
        if delivery.span is None:
            raise TypeError("Nobody knows what this delivery is about")
        [snapshot] = await self._snapshots.take([(delivery.span, delivery.transport)])
        decision = decide(snapshot)
        message = None
        if isinstance(decision, Send):
            message = self._outgoing(delivery, snapshot, _validity_s(decision.validity_s))
        async with self._database.transaction() as tx:
            current = await rows.lock(tx.connection, delivery.id)
            if current is None or (current.state, current.claim_id) != ("claimed", delivery.claim_id):
                return None
            admitted = None if message is None else await self._admission.ask(tx, current, message)
            moved = self._moved(current, decision, admitted, snapshot)
            await self._ledger.save(tx, [moved])
            if moved.state != "sending" and delivery.id in self._ahead:
                await circuits.let_go(tx.connection, delivery.transport, delivery.id)
        self._ahead.discard(delivery.id)
        if message is None or not isinstance(admitted, Admitted):
            return None
        return Begun(moved, message, admitted.wait_s, admitted.charge)

    async def settle(self, begun: Begun, outcome: Outcome) -> None:
        """Record what the provider said, unless its own signed report was faster."""
        sending = begun.sending
        async with self._database.transaction() as tx:
            current = await rows.lock(tx.connection, sending.id)
            if not isinstance(outcome, Ambiguous) and outcome.gone:
                await self._subscriptions.remove(tx.connection, outcome.gone)
            awaited = current is not None and current.attempts == sending.attempts and current.state in OPEN
            held_until = None
            if awaited or isinstance(outcome, Accepted):
                held_until = await self._breaker.note(tx, sending.transport, outcome)
            if current is None or not awaited:
                return
            if isinstance(outcome, Refused):
                await self._admission.give_back(tx, begun.charge)
            moved = settled(sending, outcome, self._clock(), jitter(), held_until)
            if moved.state in NEXT[current.state]:
                await self._ledger.save(tx, [moved])
                if isinstance(outcome, Refused):
                    address = begun.message.to.address(moved.transport)
                    await self._ledger.learn(tx, moved, outcome.fault, address)

    def _moved(
        self, current: Delivery, decision: Decision, admitted: Admitted | Deferred | None, snapshot: Snapshot
    ) -> Delivery:
        if isinstance(admitted, Deferred):
            return deferred(current, admitted.until, admitted.reason)
        moved = decided(current, decision, self._clock() + LEASE)
        if moved.state != "sending":
            return moved
        return msgspec.structs.replace(moved, message_count=snapshot.span.unread_count)

    def _outgoing(self, delivery: Delivery, snapshot: Snapshot, validity_s: int) -> Outgoing:
        locale = None if snapshot.recipient is None else snapshot.recipient.locale
        link = self._link(snapshot.category, snapshot.thread_id)
        return Outgoing(
            delivery_id=delivery.id,
            attempt=delivery.attempts + 1,
            user_id=delivery.user_id,
            thread_id=delivery.thread_id,
            category=delivery.category,
            to=snapshot.target,
            words=self._words(locale, snapshot, link),
            validity_s=validity_s,
        )

    def _words(self, locale: str | None, snapshot: Snapshot, link: str) -> Words:
        names = snapshot.span.sender_names
        if snapshot.news == "messages":
            return self._texts.words(locale, snapshot.span.unread_count, names, link)
        return self._texts.invite_words(locale, snapshot.news, names[-1], link)

    async def _go_ahead(self, tx: Transaction, delivery: Delivery, until: datetime) -> bool:
        goes = await self._admission.go_ahead(tx, delivery, until)
        if goes:
            self._ahead.add(delivery.id)
        return goes

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
        self._in_hand.pop(task, None)
        self.wake()


def _validity_s(validity_s: int) -> int:
    """Shorten a validity that ends with the beginning of quiet hours by what may pass before the provider counts it."""
    full = validity_s >= LONGEST_VALIDITY.total_seconds()
    return validity_s if full else max(1, validity_s - HANDOVER_S)
