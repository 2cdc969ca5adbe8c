"""The table of transitions: what it allows, what it refuses, and what follows for evidence and retries."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.domain.decision import Postpone, Send, Suppress
from modules.notifications.domain.delivery import (
    NEXT,
    RETRIES_S,
    STATES,
    Delivery,
    IllegalTransition,
    State,
    abandoned,
    claimed,
    decided,
    move,
    replayed,
    reported,
    settled,
)
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, FaultKind, Refused, Report

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=1)


def delivery(state: State = "pending", **changes: object) -> Delivery:
    leased = state in {"claimed", "sending"}
    fresh = Delivery(
        id=uuid4(),
        user_id="bo",
        transport="sms",
        category="messages",
        channel_id=uuid4(),
        from_seq=1,
        to_seq=2,
        message_count=2,
        state=state,
        reason=None,
        provider_id=None,
        attempts=0 if state in {"pending", "claimed", "suppressed"} else 1,
        failures=0,
        due_at=NOW,
        claim_id=uuid4() if leased else None,
        lease_until=LEASE if leased else None,
        created_at=NOW,
        updated_at=NOW,
    )
    return msgspec.structs.replace(fresh, **changes)


def report(of: Delivery, state: str, *, attempt: int = 1, fault: Fault | None = None) -> Report:
    return Report(delivery_id=of.id, attempt=attempt, provider_id="SM1", state=state, fault=fault)  # type: ignore[arg-type]


def refused(kind: FaultKind) -> Refused:
    return Refused(Fault(kind, "twilio_1"))


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
def test_only_the_table_is_allowed(before: State, after: State) -> None:
    if after in NEXT[before]:
        assert move(delivery(before), after).state == after
    else:
        with pytest.raises(IllegalTransition):
            move(delivery(before), after)


def test_what_may_have_been_sent_never_becomes_sendable_again_by_itself() -> None:
    """The heart of it: from `sending` on, only a refusal or an operator leads back, and from `unknown` nothing."""
    reachable: set[State] = {"unknown", "accepted", "delivered", "undelivered", "failed", "suppressed"}
    for _ in STATES:
        reachable |= {after for before in reachable for after in NEXT[before]}
    assert not reachable & {"pending", "claimed", "sending"}


def test_every_state_can_be_reached_and_every_other_one_ends() -> None:
    reached: set[State] = {"pending", "suppressed"}
    for _ in STATES:
        reached |= {after for before in reached for after in NEXT[before]}
    assert reached == set(STATES)
    assert {state for state in STATES if not NEXT[state]} == {"delivered", "failed", "suppressed"}


def test_a_decision_moves_a_claimed_delivery() -> None:
    mine = claimed(delivery(), uuid4(), LEASE)
    sending = decided(mine, Send(600), LEASE)
    assert (sending.state, sending.attempts, sending.claim_id) == ("sending", 1, mine.claim_id)
    later = decided(mine, Postpone(LEASE, "paused"), LEASE)
    assert (later.state, later.due_at, later.claim_id, later.attempts) == ("pending", LEASE, None, 0)
    never = decided(mine, Suppress("read"), LEASE)
    assert (never.state, never.reason) == ("suppressed", "read")


@pytest.mark.parametrize("decision", [Send(600), Postpone(LEASE, "paused"), Suppress("read")])
def test_only_a_claimed_delivery_can_be_decided_on(decision: Send | Postpone | Suppress) -> None:
    with pytest.raises(IllegalTransition):
        decided(delivery("accepted"), decision, LEASE)


def test_what_a_call_came_to() -> None:
    sending = delivery("sending")
    accepted = settled(sending, Accepted("SM1"), NOW, 1)
    assert (accepted.state, accepted.provider_id, accepted.lease_until) == ("accepted", "SM1", None)
    assert settled(sending, Ambiguous("timeout"), NOW, 1).state == "unknown"
    for kind in ("invalid_address", "opted_out", "filtered", "other"):
        assert settled(sending, refused(kind), NOW, 1).state == "failed"
    fault_of_ours = settled(sending, refused("configuration"), NOW, 1)
    assert (fault_of_ours.state, fault_of_ours.failures) == ("pending", 0)


def test_retries_wait_2_4_and_8_seconds_and_then_it_is_dead() -> None:
    current, waits = delivery("sending"), []
    while (current := settled(current, refused("busy"), NOW, 1)).state == "pending":
        waits.append((current.due_at - NOW).total_seconds())
        current = decided(claimed(current, uuid4(), LEASE), Send(600), LEASE)
    assert waits == list(RETRIES_S) == [2, 4, 8]
    assert (current.state, current.attempts) == ("dead", 4)
    again = replayed(current, NOW)
    assert (again.state, again.failures, again.attempts) == ("pending", 0, 4)


def test_only_the_dead_are_replayed() -> None:
    for state in set(STATES) - {"dead"}:
        with pytest.raises(IllegalTransition):
            replayed(delivery(state), NOW)


def test_a_lost_worker_leaves_unknown_only_if_it_was_sending() -> None:
    assert abandoned(delivery("sending")).state == "unknown"
    assert abandoned(delivery("claimed")).state == "pending"
    for state in set(STATES) - {"sending", "claimed"}:
        with pytest.raises(IllegalTransition):
            abandoned(delivery(state))


def test_evidence_counts_also_where_we_believed_that_nothing_was_sent() -> None:
    for state in ("pending", "claimed", "sending", "unknown", "dead"):
        proven = reported(delivery(state, attempts=2), report(delivery(), "delivered", attempt=1))
        assert proven is not None
        assert (proven.state, proven.provider_id, proven.claim_id) == ("delivered", "SM1", None)


def test_a_report_of_an_attempt_that_was_never_made_proves_nothing() -> None:
    assert reported(delivery("pending"), report(delivery(), "delivered")) is None
    assert reported(delivery("sending"), report(delivery(), "delivered", attempt=2)) is None


@given(st.lists(st.sampled_from(["accepted", "delivered", "undelivered", "failed"]), min_size=1))
def test_reports_only_lead_forward_in_whatever_order_they_come(states: list[str]) -> None:
    rank = {"sending": 0, "accepted": 1, "undelivered": 2, "failed": 2, "delivered": 3}
    current = delivery("sending")
    for state in states + states:
        after = reported(current, report(current, state))
        assert after is None or rank[after.state] > rank[current.state]
        current = after or current
    assert reported(current, report(current, states[-1])) is None
