"""Quiet hours: midnight, nights when clocks change, people who may be anywhere."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.domain.quiet_hours import MINUTE, Window, is_quiet, quiet_begins, quiet_ends
from modules.notifications.domain.zones import Whereabouts, whereabouts

BERLIN, NEW_YORK, CAIRO, LORD_HOWE = "Europe/Berlin", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe"
NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)
NIGHT = Window(time(21), time(9))


def at(text: str, zone: str = BERLIN, fold: int = 0) -> datetime:
    """The moment when clocks in `zone` show this."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "clock", "quiet"),
    [
        (NIGHT, time(20, 59), False),
        (NIGHT, time(21, 0), True),
        (NIGHT, time(0, 0), True),
        (NIGHT, time(8, 59), True),
        (NIGHT, time(9, 0), False),
        (Window(time(1), time(5)), time(0, 59), False),
        (Window(time(1), time(5)), time(1, 0), True),
        (Window(time(1), time(5)), time(5, 0), False),
        (Window(time(9), time(9)), time(9, 0), False),
        (Window(time(9), time(9)), time(3, 0), False),
        (Window(time(0), time(0)), time(0, 0), False),
    ],
)
def test_a_window_includes_its_start_but_not_its_end(window: Window, clock: time, *, quiet: bool) -> None:
    assert window.covers(clock) is quiet


@pytest.mark.parametrize(
    ("window", "zone", "now", "ends"),
    [
        (NIGHT, BERLIN, at("2026-06-03T22:10:30"), at("2026-06-04T09:00")),
        (NIGHT, BERLIN, at("2026-06-04T08:59:59"), at("2026-06-04T09:00")),
        # Put forward at 02:00 to 03:00: the night is an hour shorter.
        (NIGHT, BERLIN, at("2026-03-28T22:00"), at("2026-03-29T09:00")),
        # The end doesn't exist that night: quiet ends the moment the clock jumps past it.
        (Window(time(22), time(2, 30)), BERLIN, at("2026-03-28T23:00"), at("2026-03-29T03:00")),
        # Put back from 03:00 to 02:00: 02:30 comes twice, the clock first shows it in summer time.
        (Window(time(22), time(2, 30)), BERLIN, at("2026-10-25T01:00"), at("2026-10-25T02:30", fold=0)),
        # … and in the second 02:10 the wall says that it is quiet again.
        (Window(time(22), time(2, 30)), BERLIN, at("2026-10-25T02:10", fold=1), at("2026-10-25T02:30", fold=1)),
        # Midnight itself is skipped in Cairo.
        (Window(time(22), time(0)), CAIRO, at("2026-04-23T23:00", CAIRO), at("2026-04-24T01:00", CAIRO)),
        # A whole day is skipped on Samoa, with the night in it.
        (NIGHT, "Pacific/Apia", at("2011-12-29T22:00", "Pacific/Apia"), at("2011-12-31T09:00", "Pacific/Apia")),
        # From 02:45 to 03:45, in a zone three quarters of an hour off.
        (
            Window(time(22), time(3)),
            "Pacific/Chatham",
            at("2026-09-27T02:30", "Pacific/Chatham"),
            at("2026-09-27T03:45", "Pacific/Chatham"),
        ),
        # Half an hour forward.
        (
            Window(time(22), time(2, 15)),
            LORD_HOWE,
            at("2026-10-04T01:00", LORD_HOWE),
            at("2026-10-04T02:30", LORD_HOWE),
        ),
    ],
)
def test_the_end_is_what_the_clock_on_the_wall_says(window: Window, zone: str, now: datetime, ends: datetime) -> None:
    assert is_quiet(window, (zone,), now)
    assert quiet_ends(window, (zone,), now) == ends


ZONES = st.lists(
    st.sampled_from([BERLIN, NEW_YORK, CAIRO, LORD_HOWE, "Asia/Kathmandu", "Pacific/Apia"]), min_size=1, max_size=2
).map(tuple)
CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
WINDOWS = st.builds(Window, CLOCKS, CLOCKS)
MOMENTS = st.integers(0, 15 * 365 * 86400).map(lambda seconds: NEW_YEAR + timedelta(seconds=seconds))


@given(WINDOWS, ZONES, MOMENTS)
def test_the_end_is_the_first_minute_that_is_quiet_nowhere(
    window: Window, zones: tuple[str, ...], now: datetime
) -> None:
    ends = quiet_ends(window, zones, now)
    minute = now.replace(second=0, microsecond=0) + MINUTE
    last = minute + timedelta(hours=47) if ends is None else ends
    while minute < last:
        clocks = [minute.astimezone(ZoneInfo(zone)).time() for zone in zones]
        assert any(window.covers(clock) for clock in clocks)
        minute += 7 * MINUTE
    if ends is not None:
        assert not any(window.covers(ends.astimezone(ZoneInfo(zone)).time()) for zone in zones)


@given(WINDOWS, ZONES, MOMENTS, st.integers(1, 30))
def test_before_its_beginning_it_is_not_quiet(
    window: Window, zones: tuple[str, ...], now: datetime, minutes: int
) -> None:
    begins = quiet_begins(window, zones, now, minutes * MINUTE)
    quiet = [
        moment
        for moment in (now.replace(second=0, microsecond=0) + n * MINUTE for n in range(1, minutes + 1))
        if is_quiet(window, zones, moment)
    ]
    assert begins == (quiet[0] if quiet else None)


def test_somebody_who_may_be_anywhere_is_reached_when_no_zone_is_quiet() -> None:
    zones = (BERLIN, NEW_YORK)
    ends = quiet_ends(NIGHT, zones, at("2026-06-03T04:00"))
    assert ends == at("2026-06-03T09:00", NEW_YORK)
    assert quiet_ends(NIGHT, zones, at("2026-06-03T21:00")) == at("2026-06-04T09:00", NEW_YORK)


def test_zones_without_a_common_hour_never_end() -> None:
    assert quiet_ends(NIGHT, ("Asia/Tokyo", "America/Los_Angeles", "Europe/London"), at("2026-06-03T12:00")) is None


@pytest.mark.parametrize(
    ("chosen", "profile", "phone", "found"),
    [
        (CAIRO, BERLIN, "+12125550123", Whereabouts((CAIRO,), "chosen")),
        (None, BERLIN, "+12125550123", Whereabouts((BERLIN,), "profile")),
        (None, "Mars/Olympus", "+4915112345678", Whereabouts((BERLIN,), "number")),
        (None, "localtime", "+4915112345678", Whereabouts((BERLIN,), "number")),
        (None, None, "+12125550123", Whereabouts((NEW_YORK,), "number")),
        (None, None, "+351912345678", Whereabouts(("Atlantic/Azores", "Europe/Lisbon"), "number")),
        (None, None, "+881612345678", None),
        (None, None, "nonsense", None),
        (None, None, None, None),
    ],
)
def test_where_somebody_may_be(
    chosen: str | None, profile: str | None, phone: str | None, found: Whereabouts | None
) -> None:
    assert whereabouts(chosen, profile, phone) == found
    assert whereabouts(chosen, profile, phone, LORD_HOWE) == (found or Whereabouts((LORD_HOWE,), "default_zone"))


@given(st.from_regex(r"\A\+[1-9][0-9]{1,14}\Z"))
def test_nobody_is_taken_to_live_in_utc(phone: str) -> None:
    found = whereabouts(None, None, phone)
    assert found is None or not {"UTC", "Etc/UTC", "Etc/Unknown"} & set(found.zones)
