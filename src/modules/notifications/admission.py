"""What is asked last, in the transaction that commits to sending: is the transport free, and what may it cost?

Concurrency: a transport with a pace or a cap is asked under its lock, so that counts and turns are exact over all
instances; the others are only read. Locks are taken in the order delivery, transport, usage.

Guarantees: no telephone number, and not the deployment, is sent more segments in any 24 hours than its cap, also by
calls that nobody knows the outcome of. A sender is never given more than its pace.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TypeAlias

import msgspec
import structlog

from kernel.clock import Clock
from kernel.database import Connection, Transaction
from modules.notifications.domain.circuit import CLOSED, Circuit
from modules.notifications.domain.costs import AHEAD, Caps, counts_since, free_at, hour_of, next_free, turns
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.reasons import NotNow
from modules.notifications.metrics import SMS_CAPPED, TRANSPORT_HELD
from modules.notifications.store import circuits, usage
from modules.notifications.store.people import address_hash
from modules.notifications.transports import Outgoing
from modules.notifications.wording.sms import length, sms

log = structlog.get_logger(__name__)

METERED = "sms"
"""The transport that costs by the segment and has a pace."""
LATER_S = 60.0


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


class Hands(msgspec.Struct, frozen=True):
    """How many deliveries of each transport to take in hand, which of them go ahead of others, when to ask again."""

    free: Mapping[str, int]
    ahead: frozenset[str]
    rest_s: float


class Admission:
    """Lets deliveries through, one at a time where that matters."""

    def __init__(self, *, clock: Clock, segments_per_s: float, caps: Caps) -> None:
        self._clock = clock
        self._per_s = segments_per_s
        self._caps = caps
        self._told: dict[str, datetime] = {}

    async def hands(self, connection: Connection, free: Mapping[str, int]) -> Hands:
        """Return what to take in hand, of as many of each transport as there are free hands."""
        now = self._clock()
        states = await circuits.every(connection)
        asked = {name: states.get(name, (CLOSED, None)) for name in free}
        turn = asked[METERED][1] if METERED in asked else None
        return Hands(
            {name: self._hands(name, hands, *asked[name], now) for name, hands in free.items()},
            frozenset(name for name, (circuit, _) in asked.items() if circuit.probing(now)),
            max(0.0, (turn - AHEAD - now).total_seconds())
            if self._per_s and turn is not None and turn > now
            else LATER_S,
        )

    async def go_ahead(self, tx: Transaction, delivery: Delivery, until: datetime) -> bool:
        """Let a claimed delivery try whether the provider is back; False when another instance's does."""
        return await circuits.probe(tx.connection, delivery.transport, delivery.id, until, self._clock())

    async def ask(self, tx: Transaction, delivery: Delivery, message: Outgoing) -> Answer:
        """Decide on one delivery, about to be sent. What is admitted is counted as sent."""
        metered = delivery.transport == METERED
        circuit, free = await circuits.read(tx.connection, delivery.transport, lock=metered)
        now = self._clock()
        if not circuit.lets_pass(delivery.id, now):
            return Deferred(max(circuit.paused_until or now, now), "on_hold")
        if not metered:
            return Admitted()
        turn = max(free or now, now)
        if self._per_s and turn - now > AHEAD:
            return Deferred(turn)
        return await self._charge(tx, now, turn, message)

    async def give_back(self, tx: Transaction, charge: Charge | None) -> None:
        """Count segments as not sent, because they certainly weren't."""
        if charge is not None:
            await usage.add(tx.connection, charge.scopes, charge.hour, -charge.segments)

    async def capped(self, connection: Connection, phones: Collection[str]) -> dict[str, tuple[datetime, NotNow]]:
        """Return the telephone numbers that can't be sent another segment now: until when, and by which cap."""
        if not phones or not (self._caps.recipient or self._caps.deployment):
            return {}
        now = self._clock()
        scopes = {scope_of(phone): phone for phone in phones}
        used = await usage.used(connection, [*scopes, usage.DEPLOYMENT], counts_since(now))
        found = {phone: self._over(used, scope, 1, now) for scope, phone in scopes.items()}
        over = {phone: held for phone, held in found.items() if held is not None}
        for _, cap in over.values():
            self._tell(cap, now)
        return over

    def _hands(self, name: str, hands: int, circuit: Circuit, free: datetime | None, now: datetime) -> int:
        TRANSPORT_HELD.labels(name).set(circuit.paused_until is not None)
        if circuit.held(now):
            return 0
        if circuit.probing(now):
            hands = min(hands, int(circuit.wants_probe(now)))
        return turns(free, self._per_s, now, hands) if name == METERED else hands

    async def _charge(self, tx: Transaction, now: datetime, turn: datetime, message: Outgoing) -> Answer:
        scope, hour = scope_of(message.to.phone or ""), hour_of(now)
        segments = length(sms(message.words)).segments
        used = await usage.used(tx.connection, [scope, usage.DEPLOYMENT], counts_since(now))
        over = self._over(used, scope, segments, now)
        if over is not None:
            self._tell(over[1], now)
            return Deferred(*over)
        scopes = (usage.DEPLOYMENT, scope)
        await usage.add(tx.connection, scopes, hour, segments)
        if not self._per_s:
            return Admitted(0, Charge(scopes, hour, segments))
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

    def _tell(self, cap: NotNow, now: datetime) -> None:
        """Count what a cap puts off; log it once an hour."""
        SMS_CAPPED.labels(cap).inc()
        if self._told.get(cap) != hour_of(now):
            self._told[cap] = hour_of(now)
            log.error("sms_cost_cap", cap=cap)


def scope_of(phone: str) -> bytes:
    """Return what a number's segments are counted under."""
    return address_hash(METERED, phone)
