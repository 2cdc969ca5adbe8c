"""The table of transitions: what it allows, what it refuses, and what follows for evidence and retries."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.domain.decision import Postpone, Send, Suppress
from modules.notifications.domain.delivery import (
    AGAIN,
    EVIDENCE,
    GIVEN_UP,
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
    tried_again,
)
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, FaultKind, Refused, Report
from modules.notifications.transports.twilio_codes import fault

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=1)


def delivery(state: State = "pending", **changes: object) -> Delivery:
    leased = state in {"claimed", "sending"}
    fresh = Delivery(
        id=uuid4(),
        user_id="bo",
        transport="sms",
        category="messages",
        thread_id=uuid4(),
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


def report(of: Delivery, state: Any, *, attempt: int = 1, fault: Fault | None = None) -> Report:
    return Report(delivery_id=of.id, attempt=attempt, provider_id="SM1", state=state, fault=fault)


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
    """The heart of it: from `sending` on, only a refusal, an operator, or a report that it was lost leads back."""
    assert NEXT["unknown"] == EVIDENCE
    assert not (NEXT["accepted"] | NEXT["delivered"] | NEXT["suppressed"]) & {"pending", "claimed", "sending"}
    assert {state for state in STATES if "sending" in NEXT[state]} == {"claimed"}


def lost(of: Delivery, code: int, *, attempt: int = 1, state: str = "undelivered") -> Report:
    return report(of, state, attempt=attempt, fault=fault(code))


@pytest.mark.parametrize("state", ["undelivered", "failed"])
@pytest.mark.parametrize("code", [30001, 30003, 30008, 30036, 30450])
def test_what_a_report_says_was_lost_is_tried_once_more(state: str, code: int) -> None:
    first = delivery("accepted", provider_id="SM1")
    told = reported(first, lost(first, code, state=state))
    assert told is not None
    again = tried_again(told, lost(first, code, state=state), NOW, 1)
    assert again is not None
    assert (again.state, again.due_at, again.lost_attempt, again.provider_id) == ("pending", NOW + AGAIN, 1, None)
    second = msgspec.structs.replace(again, state="accepted", attempts=2)
    told = reported(second, lost(second, code, attempt=2, state=state))
    assert told is not None
    assert tried_again(told, lost(second, code, attempt=2, state=state), NOW, 1) is None


@pytest.mark.parametrize("code", [30004, 30005, 30006, 30007, 30034, 21610, 99999])
def test_nothing_else_is_tried_again(code: int) -> None:
    told = reported(delivery("accepted"), lost(delivery(), code))
    assert told is not None
    assert tried_again(told, lost(delivery(), code), NOW, 1) is None


@pytest.mark.parametrize("state", ["pending", "claimed", "sending", "accepted", "unknown", "dead"])
def test_of_a_lost_attempt_only_its_late_arrival_counts(state: State) -> None:
    second = delivery(state, attempts=2 if state != "pending" else 1, lost_attempt=1)
    assert reported(second, lost(second, 30003)) is None
    assert reported(second, report(second, "accepted")) is None
    arrived = reported(second, report(second, "delivered"))
    assert arrived is not None
    assert (arrived.state, arrived.provider_id) == ("delivered", "SM1")


def test_an_earlier_attempt_that_failed_says_nothing_of_the_one_under_way() -> None:
    assert reported(delivery("accepted", attempts=2), report(delivery(), "failed", attempt=1)) is None
    assert reported(delivery("accepted", attempts=2), report(delivery(), "failed", attempt=2)) is not None


def test_every_state_can_be_reached_and_every_other_one_ends() -> None:
    reached: set[State] = {"pending", "suppressed"}
    for _ in STATES:
        reached |= {after for before in reached for after in NEXT[before]}
    assert reached == set(STATES)
    assert {state for state in STATES if not NEXT[state]} == {"delivered", "suppressed"}


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


def test_what_a_provider_that_is_away_refuses_isnt_counted_for_a_day() -> None:
    held_until = NOW + timedelta(seconds=30)
    waiting = settled(delivery("sending", failures=3), refused("busy"), NOW, 1, held_until)
    assert (waiting.state, waiting.failures, waiting.due_at) == ("pending", 3, held_until)
    assert settled(delivery("sending"), refused("busy"), NOW + GIVEN_UP, 1, held_until).state == "dead"
    counted = settled(delivery("sending"), refused("later"), NOW, 1, held_until)
    assert (counted.failures, counted.due_at) == (1, NOW + timedelta(seconds=2))


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
