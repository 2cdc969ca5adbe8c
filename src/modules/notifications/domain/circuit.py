"""When a transport is put aside because its provider fails, for how long, and how it comes back.

The state belongs to the transport and is shared by all instances. *Closed*: deliveries go. *Held*: none goes.
*Probing*: the hold is over, one delivery goes ahead, and the others follow if the provider takes it.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

THRESHOLD = 3
"""So many failures in a row, over all instances, mean that it is the provider and not one call."""
FIRST = timedelta(seconds=15)
LONGEST = timedelta(minutes=10)
LONGEST_ASKED = timedelta(hours=1)
"""A provider that says when to come back is believed up to this."""
MISCONFIGURED = timedelta(minutes=5)
"""For a fault of configuration, which every message would meet. A restart tries at once."""


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """A transport's state."""

    failures: int = 0
    """Failures of the provider since it last took, or properly refused, anything."""
    holds: int = 0
    """How often in a row it was put aside; 0 while closed."""
    paused_until: datetime | None = None
    """Held until then; in the past: probing."""
    reason: str | None = None
    probe_id: UUID | None = None
    """The delivery that goes ahead."""
    probing_until: datetime | None = None
    """When whoever sends it counts as dead, and another may go ahead."""

    def held(self, now: datetime) -> bool:
        """Whether nothing goes."""
        return self.paused_until is not None and self.paused_until > now

    def probing(self, now: datetime) -> bool:
        """Whether only one delivery goes."""
        return self.paused_until is not None and self.paused_until <= now

    def wants_probe(self, now: datetime) -> bool:
        """Whether a delivery should go ahead, and none does."""
        return self.probing(now) and (self.probing_until is None or self.probing_until <= now)

    def lets_pass(self, delivery_id: UUID, now: datetime) -> bool:
        """Whether this delivery may be sent."""
        return self.paused_until is None or (self.probing(now) and self.probe_id == delivery_id)


CLOSED = Circuit()


def failed(
    circuit: Circuit, now: datetime, *, reason: str, jitter: float, retry_after_s: float | None = None
) -> Circuit:
    """Count a failure of the provider. It is held back from the third on, or as soon as it asks for it.

    `jitter`: factor for the time. What was under way when it was put aside extends that only where the provider asks.
    """
    failures = circuit.failures + 1
    asked = None if not retry_after_s else now + min(timedelta(seconds=retry_after_s), LONGEST_ASKED)
    if circuit.held(now) or (failures < THRESHOLD and circuit.holds == 0):
        if asked is None or (circuit.paused_until is not None and asked <= circuit.paused_until):
            return msgspec.structs.replace(circuit, failures=failures)
        return _hold(circuit, asked, failures=failures, holds=max(circuit.holds, 1), reason=reason)
    until = now + min(FIRST * 2 ** min(circuit.holds, 10), LONGEST) * jitter
    later = until if asked is None else max(until, asked)
    return _hold(circuit, later, failures=failures, holds=circuit.holds + 1, reason=reason)


def misconfigured(circuit: Circuit, now: datetime, *, reason: str) -> Circuit:
    """Put it aside because we, not the provider, are at fault."""
    return _hold(circuit, now + MISCONFIGURED, failures=0, holds=max(circuit.holds, 1), reason=reason)


def worked(circuit: Circuit, now: datetime) -> Circuit:
    """The provider took something, or refused it for what it was. While held, only the probe is believed, later."""
    return circuit if circuit.held(now) else CLOSED


def _hold(circuit: Circuit, until: datetime, **changes: object) -> Circuit:
    return msgspec.structs.replace(circuit, paused_until=until, probe_id=None, probing_until=None, **changes)
