"""Segments in 24 hours, and segments a second: the arithmetic, without a database."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.domain.costs import AHEAD, DAY, HOUR, counts_since, free_at, hour_of, next_free, turns

NOW = datetime(2026, 6, 3, 12, 40, tzinfo=UTC)


def test_an_hour_counts_until_all_of_it_is_a_day_old() -> None:
    assert counts_since(NOW) == datetime(2026, 6, 2, 12, tzinfo=UTC)
    used = {datetime(2026, 6, 2, 12, tzinfo=UTC): 10, datetime(2026, 6, 3, 9, tzinfo=UTC): 20}
    assert free_at(used, 1, 31, NOW) is None
    assert free_at(used, 1, 30, NOW) == datetime(2026, 6, 3, 13, tzinfo=UTC)
    assert free_at(used, 25, 30, NOW) == datetime(2026, 6, 4, 10, tzinfo=UTC)


def test_no_cap_never_stops_and_what_is_larger_than_the_cap_is_asked_again_a_day_later() -> None:
    assert free_at({NOW: 1_000_000}, 1, 0, NOW) is None
    assert free_at({}, 3, 2, NOW) == NOW + DAY


@given(
    st.lists(st.tuples(st.integers(0, 7200), st.integers(1, 4)), max_size=200),
    st.integers(4, 40),
)
def test_in_no_24_hours_there_is_more_than_the_cap(steps: list[tuple[int, int]], cap: int) -> None:
    """Against a naive model: every send with its exact time."""
    now, used, sent = NOW, dict[datetime, int](), list[tuple[datetime, int]]()
    for pause_s, segments in steps:
        now += timedelta(seconds=pause_s)
        counting = {hour: count for hour, count in used.items() if hour >= counts_since(now)}
        until = free_at(counting, segments, cap, now)
        if until is None:
            used[hour_of(now)] = used.get(hour_of(now), 0) + segments
            sent.append((now, segments))
            assert sum(count for at, count in sent if at > now - DAY) <= cap
        else:
            later = {hour: count for hour, count in used.items() if hour >= counts_since(until)}
            assert until > now
            assert free_at(later, segments, cap, until) is None
            assert until - now <= DAY + HOUR


def test_turns() -> None:
    assert turns(None, 0, NOW, 8) == 8
    assert turns(None, 1, NOW, 8) == 1
    assert turns(NOW + timedelta(seconds=1), 1, NOW, 8) == 0
    assert turns(NOW + AHEAD / 2, 1, NOW, 8) == 1
    assert turns(NOW - HOUR, 100, NOW, 8) == 8
    assert turns(None, 12, NOW, 8) == 4
    assert turns(None, 1, NOW, 0) == 0


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 3)), min_size=1, max_size=100), st.floats(0.2, 50))
def test_a_sender_never_gets_ahead_of_its_pace(steps: list[tuple[float, int]], per_s: float) -> None:
    now, free, sent = NOW, None, list[tuple[datetime, int]]()
    for pause_s, segments in steps:
        now += timedelta(seconds=pause_s)
        turn = max(free or now, now)
        free = next_free(free, segments, per_s, now)
        sent.append((turn, segments))
    for index, (begun, _) in enumerate(sent):
        for last, (ended, size) in enumerate(sent[index:], start=index):
            between = sum(count for _, count in sent[index : last + 1]) - size
            assert between <= (ended - begun).total_seconds() * per_s + 1e-3
