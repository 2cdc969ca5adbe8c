"""When a transport is put aside, for how long, and how it comes back: the rules, without a database."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.domain.circuit import (
    CLOSED,
    FIRST,
    LONGEST,
    LONGEST_ASKED,
    THRESHOLD,
    Circuit,
    failed,
    misconfigured,
    worked,
)

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def fails(circuit: Circuit, now: datetime, *, retry_after_s: float | None = None) -> Circuit:
    return failed(circuit, now, reason="http_500", jitter=1, retry_after_s=retry_after_s)


def probing(circuit: Circuit, now: datetime) -> Circuit:
    return msgspec.structs.replace(circuit, probe_id=uuid4(), probing_until=now + timedelta(minutes=1))


def test_it_is_held_from_the_third_failure_on_for_15_30_and_so_on_up_to_600_seconds() -> None:
    circuit, now, holds = CLOSED, NOW, []
    for _ in range(THRESHOLD - 1):
        circuit = fails(circuit, now)
        assert not circuit.held(now)
    for _ in range(9):
        circuit = fails(circuit, now)
        assert circuit.paused_until is not None
        holds.append((circuit.paused_until - now).total_seconds())
        now = circuit.paused_until
    assert holds == [15, 30, 60, 120, 240, 480, 600, 600, 600]


def test_a_success_in_between_begins_the_count_anew() -> None:
    circuit = fails(worked(fails(fails(CLOSED, NOW), NOW), NOW), NOW)
    assert (circuit.failures, circuit.paused_until) == (1, None)


def test_what_was_under_way_neither_extends_nor_ends_a_hold() -> None:
    held = fails(fails(fails(CLOSED, NOW), NOW), NOW)
    late = fails(held, NOW + SECOND)
    assert (late.paused_until, late.holds) == (held.paused_until, 1)
    assert worked(held, NOW + SECOND) == held


def test_afterwards_one_goes_ahead_and_the_others_follow_if_it_was_taken() -> None:
    circuit = fails(fails(fails(CLOSED, NOW), NOW), NOW)
    over = NOW + FIRST
    assert not circuit.wants_probe(over - SECOND)
    assert circuit.wants_probe(over)
    ahead = probing(circuit, over)
    assert ahead.probe_id is not None
    assert (ahead.wants_probe(over), ahead.lets_pass(ahead.probe_id, over), ahead.lets_pass(uuid4(), over)) == (
        False,
        True,
        False,
    )
    assert worked(ahead, over) == CLOSED
    again = fails(ahead, over)
    assert (again.paused_until, again.probe_id, again.holds) == (over + 2 * FIRST, None, 2)


def test_a_probe_that_dies_makes_room_for_another() -> None:
    ahead = probing(fails(fails(fails(CLOSED, NOW), NOW), NOW), NOW + FIRST)
    assert ahead.probing_until is not None
    assert ahead.wants_probe(ahead.probing_until)


def test_a_provider_that_says_when_to_come_back_is_believed_at_once_within_limits() -> None:
    assert fails(CLOSED, NOW, retry_after_s=90).paused_until == NOW + timedelta(seconds=90)
    assert fails(CLOSED, NOW, retry_after_s=1e6).paused_until == NOW + LONGEST_ASKED
    asked = fails(CLOSED, NOW, retry_after_s=90)
    assert fails(asked, NOW + SECOND, retry_after_s=5).paused_until == asked.paused_until
    assert fails(asked, NOW + SECOND, retry_after_s=200).paused_until == NOW + timedelta(seconds=201)


def test_our_own_faults_hold_it_for_five_minutes_and_then_one_goes_ahead() -> None:
    circuit = misconfigured(CLOSED, NOW, reason="twilio_20003")
    assert circuit.paused_until == NOW + timedelta(minutes=5)
    assert circuit.wants_probe(NOW + timedelta(minutes=5))


@given(st.lists(st.tuples(st.sampled_from(["fails", "works", "asks"]), st.integers(0, 700)), max_size=60))
def test_whatever_happens_holds_end_and_only_success_closes(events: list[tuple[str, int]]) -> None:
    circuit, now = CLOSED, NOW
    for event, pause_s in events:
        before = circuit
        if event == "works":
            circuit = worked(circuit, now)
        else:
            circuit = fails(circuit, now, retry_after_s=20 if event == "asks" else None)
        if circuit.paused_until is not None:
            assert circuit.paused_until <= now + LONGEST or circuit.paused_until == before.paused_until
        if event != "works" and before.paused_until is not None:
            assert circuit.paused_until is not None
        now += timedelta(seconds=pause_s)
