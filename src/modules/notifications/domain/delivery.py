"""The life of a delivery. The row is the queue; every change of its state is one of these functions.

`sending` is committed before the provider is called and left only by what the provider says. A worker that dies in
between leaves a lease to expire, and then the state is `unknown`: shown to operators, never repeated. Before
`sending` nothing has been sent, so there the work is simply taken up again.

What a signed report says was lost on the way gets one new attempt, in the same row: so the chain of ranges is the same,
no other row can be about these messages, and all gates are asked again, whether they are still unread first of all.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from modules.notifications.domain.outcomes import Accepted, Ambiguous, Outcome, Refused, Report
from modules.notifications.domain.verdicts import Decision, Postpone, Send, noted
from modules.notifications.ports import Category, Span

State = Literal[
    "pending",
    "claimed",
    "sending",
    "accepted",
    "delivered",
    "undelivered",
    "failed",
    "unknown",
    "suppressed",
    "dead",
]
STATES: tuple[State, ...] = get_args(State)

EVIDENCE = frozenset[State]({"accepted", "delivered", "undelivered", "failed"})
"""What a signed report proves. It stands above what we believed, also where we believed that nothing was sent."""

NEXT: Mapping[State, frozenset[State]] = {
    "pending": EVIDENCE | {"claimed"},
    "claimed": EVIDENCE | {"pending", "sending", "suppressed"},
    "sending": EVIDENCE | {"pending", "unknown", "dead"},
    "unknown": EVIDENCE,
    "accepted": EVIDENCE - {"accepted"},
    "undelivered": frozenset({"delivered", "pending"}),
    "dead": EVIDENCE | {"pending"},
    "delivered": frozenset(),
    "failed": frozenset({"pending"}),
    "suppressed": frozenset(),
}
"""The only changes there are. They lead forward, but for the one new attempt, which is made once in a row's life: so a
repeated or late report finds nothing to change."""

LONGEST_WAIT_S = 30.0
"""However much longer a provider asks to wait: three times this, and push is given up just before an SMS would go."""
RETRIES_S = (2.0, 4.0, 8.0)
"""Delays after refusals that are known not to have sent anything; then the delivery is dead."""

GIVEN_UP = timedelta(hours=24)
"""A delivery that met nothing but a provider that is away isn't tried for longer: then it is dead, too."""

TRIED_AGAIN = frozenset({"busy", "later", "unreached"})
"""Faults, told of by a report, after which there is one new attempt."""
AGAIN = timedelta(minutes=10)
"""After this: a telephone that is off is rarely on a minute later."""


class IllegalTransition(Exception):
    """A delivery was to take a step that isn't in the table: a bug, or somebody was faster."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one person by one transport, about `from_seq`..`to_seq` of a thread, which `ports.Span` explains.

    What isn't about a thread has neither that nor seqs.
    """

    id: UUID
    user_id: str
    transport: str
    category: Category
    thread_id: UUID | None
    from_seq: int | None
    to_seq: int | None
    message_count: int
    state: State
    reason: str | None
    provider_id: str | None
    attempts: int
    """Calls of the provider, ever."""
    failures: int
    """Refusals in this life; a replay begins another."""
    lost_attempt: int = 0
    """The attempt that was reported lost, after which there is one more; 0: none was."""
    due_at: datetime
    """Not to be sent before."""
    claim_id: UUID | None
    """Whose it is, while claimed or sending."""
    lease_until: datetime | None
    """When whoever claimed it counts as dead."""
    created_at: datetime
    updated_at: datetime

    @property
    def span(self) -> Span | None:
        """What it is about; None if that is no thread."""
        if self.thread_id is None or self.from_seq is None or self.to_seq is None:
            return None
        return Span(self.user_id, self.thread_id, self.from_seq, self.to_seq, self.category)

    @property
    def messages(self) -> Span | None:
        """The messages that it is about; None if it is about something else."""
        return self.span if self.category == "messages" else None


def move(delivery: Delivery, to: State, **changes: Any) -> Delivery:
    """Return the delivery in state `to`.

    Raises:
        IllegalTransition: the table doesn't have this step.
    """
    if to not in NEXT[delivery.state]:
        raise IllegalTransition(f"{delivery.state} -> {to}")
    if to not in {"claimed", "sending"}:
        changes |= {"claim_id": None, "lease_until": None}
    return msgspec.structs.replace(delivery, state=to, **changes)


def claimed(delivery: Delivery, claim_id: UUID, lease_until: datetime) -> Delivery:
    """Give it to a worker."""
    return move(delivery, "claimed", claim_id=claim_id, lease_until=lease_until)


def decided(delivery: Delivery, decision: Decision, lease_until: datetime) -> Delivery:
    """Follow the decision made right before the call. To send is to count one more attempt."""
    if isinstance(decision, Send):
        attempts = delivery.attempts + 1
        return move(delivery, "sending", attempts=attempts, reason=noted(decision), lease_until=lease_until)
    if isinstance(decision, Postpone):
        return move(delivery, "pending", reason=noted(decision), due_at=decision.until)
    return move(delivery, "suppressed", reason=noted(decision))


def deferred(delivery: Delivery, until: datetime, reason: str | None) -> Delivery:
    """Put off what would be sent now, but can't. `reason` None: it is only a matter of turns."""
    return move(delivery, "pending", due_at=until, reason=reason or delivery.reason)


def settled(
    delivery: Delivery, outcome: Outcome, now: datetime, jitter: float, held_until: datetime | None = None
) -> Delivery:
    """Record what the call came to.

    `jitter`: factor for the delay of a retry. `held_until`: the transport is held back until then, because its provider
    fails; what meets that isn't counted against the delivery.
    """
    if isinstance(outcome, Accepted):
        return move(delivery, "accepted", provider_id=outcome.provider_id)
    if isinstance(outcome, Ambiguous):
        return move(delivery, "unknown", reason=outcome.reason)
    return _refused(delivery, outcome, now, jitter, held_until)


def _refused(
    delivery: Delivery, outcome: Refused, now: datetime, jitter: float, held_until: datetime | None
) -> Delivery:
    fault = outcome.fault
    if fault.kind == "configuration":
        return move(delivery, "pending", reason=fault.reason, due_at=now)
    if fault.kind not in {"busy", "later"}:
        return move(delivery, "failed", reason=fault.reason)
    if fault.kind == "busy" and held_until is not None and now - delivery.created_at < GIVEN_UP:
        return move(delivery, "pending", reason=fault.reason, due_at=held_until)
    failures = delivery.failures + 1
    if failures > len(RETRIES_S) or now - delivery.created_at >= GIVEN_UP:
        return move(delivery, "dead", reason=fault.reason, failures=failures)
    wait_s = max(RETRIES_S[failures - 1] * jitter, min(fault.retry_after_s or 0, LONGEST_WAIT_S))
    due_at = now + timedelta(seconds=wait_s)
    return move(delivery, "pending", reason=fault.reason, failures=failures, due_at=due_at)


def abandoned(delivery: Delivery) -> Delivery:
    """Take it from a worker that died: what may have been sent is unknown, the rest is taken up again.

    Raises:
        IllegalTransition: no worker has it.
    """
    if delivery.state == "sending":
        return move(delivery, "unknown", reason="worker_lost")
    if delivery.state == "claimed":
        return move(delivery, "pending")
    raise IllegalTransition(f"{delivery.state} -> pending by a lease that ran out")


def reported(delivery: Delivery, report: Report) -> Delivery | None:
    """Apply a signed report; None when it tells nothing new, or tells of an attempt that was never made.

    Of an attempt that was followed by others only its success counts.
    """
    if not 1 <= report.attempt <= delivery.attempts or report.state not in NEXT[delivery.state]:
        return None
    lost = report.attempt <= delivery.lost_attempt
    if report.state != "delivered" and (lost or (report.state != "accepted" and report.attempt < delivery.attempts)):
        return None
    return move(
        delivery,
        report.state,
        provider_id=report.provider_id if lost else delivery.provider_id or report.provider_id,
        reason=report.fault.reason if report.fault else None,
    )


def tried_again(delivery: Delivery, report: Report, now: datetime, jitter: float) -> Delivery | None:
    """Give what was just reported lost its one new attempt; None where it had one, or none would help."""
    kind = report.fault.kind if report.fault else None
    if delivery.state not in {"undelivered", "failed"} or delivery.lost_attempt or kind not in TRIED_AGAIN:
        return None
    return move(delivery, "pending", lost_attempt=report.attempt, provider_id=None, due_at=now + AGAIN * jitter)


def replayed(delivery: Delivery, now: datetime) -> Delivery:
    """Give a dead delivery another life, through the same gates.

    Raises:
        IllegalTransition: it isn't dead.
    """
    if delivery.state != "dead":
        raise IllegalTransition(f"{delivery.state} -> pending by an operator")
    return move(delivery, "pending", failures=0, due_at=now)
