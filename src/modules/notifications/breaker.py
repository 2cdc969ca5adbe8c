"""Puts a transport aside while its provider fails, for all instances alike.

Concurrency: a transport's state is a row. It is locked only to be changed, so that calls that succeed, which is nearly
all of them, don't wait for each other.

Guarantees: with a provider that only fails, the calls of all instances together are those that were under way, and
then one for each hold, which grow up to ten minutes.
"""

from datetime import datetime

import structlog

from kernel.backoff import spread
from kernel.clock import Clock
from kernel.database import Transaction
from modules.notifications.domain.circuit import CLOSED, Circuit, failed, misconfigured, worked
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.metrics import TRANSPORT_PAUSES
from modules.notifications.store import circuits

log = structlog.get_logger(__name__)


def jitter() -> float:
    """Return a factor that keeps what waits from coming all at once."""
    return spread(0.75, 1.25)


class Breaker:
    """Learns from what calls came to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def note(self, tx: Transaction, transport: str, outcome: Outcome) -> datetime | None:
        """Count a call; return until when the transport is held back, if it is."""
        if isinstance(outcome, Refused) and outcome.fault.kind == "configuration":
            return None
        reason = _failure(outcome)
        circuit, _ = await circuits.read(tx.connection, transport, lock=reason is not None)
        if reason is None and circuit == CLOSED:
            return None
        if reason is None:
            circuit, _ = await circuits.read(tx.connection, transport, lock=True)
        now = self._clock()
        after = worked(circuit, now) if reason is None else _after(circuit, now, reason, outcome)
        if after != circuit:
            await circuits.save(tx.connection, transport, after)
            self._tell(tx, transport, circuit, after, cause="provider")
        return after.paused_until if after.held(now) else None

    async def misconfigured(self, tx: Transaction, transport: str, fault: Fault) -> None:
        """Hold a transport back because every message would meet this fault."""
        circuit, _ = await circuits.read(tx.connection, transport, lock=True)
        after = misconfigured(circuit, self._clock(), reason=fault.reason)
        await circuits.save(tx.connection, transport, after)
        self._tell(tx, transport, circuit, after, cause="configuration")

    def _tell(self, tx: Transaction, transport: str, before: Circuit, after: Circuit, *, cause: str) -> None:
        if after.paused_until is None:
            if before.paused_until is not None:
                tx.after_commit(lambda: log.info("transport_back", transport=transport))
        elif after.paused_until != before.paused_until:
            seconds = round((after.paused_until - self._clock()).total_seconds())
            tx.after_commit(TRANSPORT_PAUSES.labels(transport, cause).inc)
            tx.after_commit(
                lambda: log.error(
                    "transport_paused", transport=transport, cause=cause, reason=after.reason, seconds=seconds
                )
            )


def _failure(outcome: Outcome) -> str | None:
    """Return why the provider, not the message, is to blame; None if it isn't."""
    if isinstance(outcome, Ambiguous):
        return outcome.reason if outcome.blames_provider else None
    if isinstance(outcome, Accepted) or outcome.fault.kind != "busy":
        return None
    return outcome.fault.reason


def _after(circuit: Circuit, now: datetime, reason: str, outcome: Outcome) -> Circuit:
    asked = outcome.fault.retry_after_s if isinstance(outcome, Refused) else None
    return failed(circuit, now, reason=reason, jitter=jitter(), retry_after_s=asked)
