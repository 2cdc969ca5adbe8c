"""What is asked last, in the transaction that commits to sending: is the transport free, and what may it cost?

Concurrency: a transport with a pace or a cap is asked under its lock, so that counts and turns are exact over all
instances; the others are only read. Locks are taken in the order delivery, transport, usage.

Guarantees: no telephone number, and not the deployment, is sent more segments in any 24 hours than its cap, also by
calls that nobody knows the outcome of. A sender is never given more than its pace.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec
import structlog

from kernel.database import Connection, Transaction
from modules.notifications.domain.circuit import Circuit
from modules.notifications.domain.costs import AHEAD, Caps, counts_since, free_at, hour_of, next_free, turns
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.reasons import NotNow
from modules.notifications.metrics import SMS_CAPPED, TRANSPORT_HELD
from modules.notifications.store import circuits, usage
from modules.notifications.store.people import address_hash

log = structlog.get_logger(__name__)

METERED = "sms"
"""The transport that costs by the segment and has a pace."""
SOON = timedelta(seconds=1)


class Charge(msgspec.Struct, frozen=True):
    """Segments that were counted, to be given back should they certainly not have been sent."""

    scopes: tuple[bytes, ...]
    hour: datetime
    segments: int


class Admitted(msgspec.Struct, frozen=True):
    """It may be sent, in `wait_s`, which is less than `AHEAD`."""

    wait_s: float = 0
    charge: Charge | None = None


class Deferred(msgspec.Struct, frozen=True):
    """It may be sent from `until` on, by all that is known. `reason` None: it is only a matter of turns."""

    until: datetime
    reason: NotNow | None = None


Answer: TypeAlias = Admitted | Deferred


class Admission:
    """Lets deliveries through, one at a time where that matters."""

    def __init__(self, *, clock: Callable[[], datetime], segments_per_s: float, caps: Caps) -> None:
        self._clock = clock
        self._per_s = segments_per_s
        self._caps = caps

    async def hands(self, connection: Connection, free: Mapping[str, int]) -> dict[str, int]:
        """Return how many deliveries of each transport to take in hand, of as many as there are free hands."""
        now = self._clock()
        states = await circuits.every(connection)
        return {name: self._hands(name, hands, states.get(name), now) for name, hands in free.items()}

    async def ask(self, tx: Transaction, delivery: Delivery, *, segments: int, phone: str | None) -> Answer:
        """Decide on one delivery, about to be sent. What is admitted is counted as sent."""
        metered = delivery.transport == METERED
        circuit, free = await circuits.read(tx.connection, delivery.transport, lock=metered)
        now = self._clock()
        if not circuit.lets_pass(delivery.id, now):
            return Deferred(max(circuit.paused_until or now, now), "on_hold")
        if not metered:
            return Admitted()
        until = max(free or now, now)
        if self._per_s and until - now > AHEAD:
            return Deferred(until)
        return await self._charge(tx, now, until, segments, phone or "")

    async def give_back(self, tx: Transaction, charge: Charge | None) -> None:
        """Count segments as not sent, because they certainly weren't."""
        if charge is not None:
            await usage.add(tx.connection, charge.scopes, charge.hour, -charge.segments)

    async def capped(
        self, connection: Connection, phones: "frozenset[str] | set[str]"
    ) -> dict[str, tuple[datetime, NotNow]]:
        """Return the telephone numbers that can't be sent another segment now: until when, and by which cap."""
        now = self._clock()
        scopes = {address_hash(phone): phone for phone in phones}
        used = await usage.used(connection, [*scopes, usage.DEPLOYMENT], counts_since(now))
        found = {phone: self._over(used, scope, 1, now) for scope, phone in scopes.items()}
        return {phone: over for phone, over in found.items() if over is not None}

    def _hands(self, name: str, hands: int, state: tuple[Circuit, datetime | None] | None, now: datetime) -> int:
        circuit, free = state or (Circuit(), None)
        TRANSPORT_HELD.labels(name).set(circuit.held(now))
        if circuit.held(now):
            return 0
        if circuit.probing(now):
            hands = min(hands, int(circuit.wants_probe(now)))
        return turns(free, self._per_s, now, hands) if name == METERED else hands

    async def _charge(self, tx: Transaction, now: datetime, turn: datetime, segments: int, phone: str) -> Answer:
        scope, hour = address_hash(phone), hour_of(now)
        used = await usage.used(tx.connection, [scope, usage.DEPLOYMENT], counts_since(now))
        over = self._over(used, scope, segments, now)
        if over is not None:
            await self._tell(tx, scope, hour, over[1])
            return Deferred(*over)
        scopes = (usage.DEPLOYMENT, scope)
        await usage.add(tx.connection, scopes, hour, segments)
        if self._per_s:
            await circuits.occupy(tx.connection, METERED, next_free(turn, segments, self._per_s, now))
        return Admitted((turn - now).total_seconds(), Charge(scopes, hour, segments))

    def _over(
        self, used: Mapping[bytes, Mapping[datetime, int]], scope: bytes, segments: int, now: datetime
    ) -> tuple[datetime, NotNow] | None:
        everybody = free_at(used[usage.DEPLOYMENT], segments, self._caps.deployment, now)
        if everybody is not None:
            return everybody, "cost_cap"
        theirs = free_at(used[scope], segments, self._caps.recipient, now)
        return None if theirs is None else (theirs, "cost_cap_recipient")

    async def _tell(self, tx: Transaction, scope: bytes, hour: datetime, cap: NotNow) -> None:
        """Count each delivery that a cap puts off; log it once an hour for the deployment, or for the number."""
        tx.after_commit(SMS_CAPPED.labels(cap).inc)
        if await usage.tell(tx.connection, usage.DEPLOYMENT if cap == "cost_cap" else scope, hour):
            tx.after_commit(lambda: log.error("sms_cost_cap", cap=cap))
