"""When an event is posted again, and when no more: pure functions.

An event may be posted more than once, under the same `webhook-id`. So whatever isn't known to have been taken is tried
again, until three days after it was heard of.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

import msgspec

State = Literal["pending", "sending", "delivered", "dead"]
STATES: tuple[State, ...] = get_args(State)

RETRIES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
)
"""Pauses after the first failures."""
LONGEST_PAUSE = timedelta(hours=12)
"""And after all later ones; also the most that an endpoint may ask for."""
LIFE = timedelta(days=3)
"""Since it was heard of, or replayed. The last attempt is at the end of it."""
GONE = 410
THROTTLED = frozenset({429, 503})
SUCCESS = range(200, 300)

Fault = Literal[
    "http_status",
    "timeout",
    "no_connection",
    "connection_lost",
    "tls_failed",
    "unexpected_answer",
    "not_allowed",
    "worker_lost",
    "internal",
]
"""Why an attempt came to nothing. `not_allowed`: the address may not be called (any more)."""
FAULTS: tuple[Fault, ...] = get_args(Fault)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and what came of it. `status` None: no answer."""

    at: datetime
    duration_ms: int
    status: int | None = None
    fault: Fault | None = None

    @property
    def taken(self) -> bool:
        """Whether the endpoint has the event now."""
        return self.status is not None and self.status in SUCCESS

    @property
    def gone(self) -> bool:
        """Whether the endpoint wants no more of any event."""
        return self.status == GONE


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery in a worker's hand, with what is to be posted and where."""

    id: UUID
    claim_id: UUID
    webhook_id: UUID
    event_id: UUID
    url: str
    secrets: Sequence[str]
    payload: bytes
    failures: int
    expires_at: datetime
    is_probe: bool
    """The only one that is posted to an endpoint that fails, to see whether it does still."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a delivery after an attempt."""

    state: State
    reason: str | None
    failures: int
    due_at: datetime


def settled(claimed: Claimed, attempt: Attempt, now: datetime, *, jitter: float, retry_after: timedelta) -> Settled:
    """Return what follows from an attempt.

    Args:
        claimed: the delivery.
        attempt: what came of it.
        now: when it ended.
        jitter: factor for the pause.
        retry_after: what the endpoint asked for, zero where it didn't.
    """
    if attempt.taken:
        return Settled(state="delivered", reason=None, failures=claimed.failures, due_at=now)
    failures, reason = claimed.failures + 1, _reason(attempt)
    if attempt.gone or now >= claimed.expires_at:
        return Settled(state="dead", reason=reason, failures=failures, due_at=now)
    pause = RETRIES[claimed.failures] * jitter if claimed.failures < len(RETRIES) else LONGEST_PAUSE * jitter
    due_at = max(min(now + pause, claimed.expires_at), now + min(retry_after, LONGEST_PAUSE))
    return Settled(state="pending", reason=reason, failures=failures, due_at=due_at)


def _reason(attempt: Attempt) -> str:
    return f"http_{attempt.status}" if attempt.status is not None else str(attempt.fault)
