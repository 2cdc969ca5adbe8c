"""Where deliveries are written, and what follows from each write: the event, the metric, what is learnt from faults."""

from collections.abc import Sequence

import structlog

from bus import Bus
from kernel.clock import Clock
from kernel.database import Transaction
from kernel.telemetry.metrics import DELIVERIES
from modules.notifications.breaker import Breaker
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.outcomes import Fault
from modules.notifications.events import DeliveryChanged
from modules.notifications.store import deliveries as rows
from modules.notifications.store import people

log = structlog.get_logger(__name__)


class Ledger:
    """Writes deliveries in the caller's transaction; events and metrics are released with its commit."""

    def __init__(self, bus: Bus, breaker: Breaker, clock: Clock) -> None:
        self._bus = bus
        self._breaker = breaker
        self._clock = clock

    async def add(self, tx: Transaction, deliveries: Sequence[Delivery]) -> None:
        """Write new rows. The database refuses overlapping ranges."""
        if deliveries:
            await rows.add(tx.connection, deliveries)
            await self._tell(tx, deliveries)

    async def save(self, tx: Transaction, deliveries: Sequence[Delivery]) -> None:
        """Write rows that were moved to another state under their locks."""
        if deliveries:
            await rows.save(tx.connection, deliveries, self._clock())
            await self._tell(tx, deliveries)

    async def learn(self, tx: Transaction, delivery: Delivery, fault: Fault, address: str | None) -> None:
        """Remember what a fault says beyond this delivery: about the address, or about all of the transport.

        `address`: where it went, for transports that have one address a person.
        """
        log.warning("delivery_fault", delivery_id=str(delivery.id), kind=fault.kind, reason=fault.reason)
        if fault.kind == "configuration":
            await self._breaker.misconfigured(tx, delivery.transport, fault)
        elif fault.kind == "filtered":
            log.error("sms_filtered_by_carrier", delivery_id=str(delivery.id), reason=fault.reason)
        elif address is not None and fault.kind == "invalid_address":
            await people.invalidate(tx.connection, (delivery.transport, address), fault.reason)
        elif address is not None and fault.kind == "opted_out":
            await people.opt_out(tx.connection, (delivery.transport, address), fault.reason)

    async def _tell(self, tx: Transaction, deliveries: Sequence[Delivery]) -> None:
        told = [delivery for delivery in deliveries if delivery.state != "claimed"]
        await self._bus.publish(tx, *map(_event, told))
        for delivery in told:
            tx.after_commit(DELIVERIES.labels(delivery.transport, delivery.state).inc)


def _event(delivery: Delivery) -> DeliveryChanged:
    messages = delivery.messages
    return DeliveryChanged(
        delivery_id=delivery.id,
        user_id=delivery.user_id,
        transport=delivery.transport,
        category=delivery.category,
        channel_id=None if messages is None else messages.channel_id,
        from_seq=None if messages is None else messages.from_seq,
        to_seq=None if messages is None else messages.to_seq,
        message_count=delivery.message_count,
        state=delivery.state,
        reason=delivery.reason,
    )
