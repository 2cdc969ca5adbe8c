"""What holds of every decision, whatever the situation; the cases one by one are in `test_cases`."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from modules.notifications.domain import gates
from modules.notifications.domain.decision import (
    Decision,
    Postpone,
    Send,
    Snapshot,
    Standing,
    Suppress,
    Way,
    decide,
    noted,
)
from modules.notifications.domain.ladder import LADDER, Earlier
from modules.notifications.domain.preferences import Categories, Channels, Preferences, QuietHours
from modules.notifications.domain.quiet_hours import Window
from modules.notifications.domain.zones import Whereabouts
from realtime.attention import Attention
from tests.modules.notifications.situations import CHANNEL, DELAYS_S, OTHER, Situation
from tests.modules.notifications.world import Person, SpanState

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham", "Australia/Lord_Howe", None]
NUMBERS = ["+4915112345678", "+12125550123", "+351912345678", "+881612345678", None]
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
RARELY = st.integers(0, 9).map(lambda number: number == 0)
CLOCKS = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]))
MOMENTS = st.integers(0, 365 * 86400).map(lambda seconds: YEAR + timedelta(seconds=seconds))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any situation at all, though mostly one in which something may be sent."""
    s = Situation()
    s.now = now = draw(MOMENTS)
    near = st.integers(-7200, 7200).map(lambda seconds: now + timedelta(seconds=seconds))
    sometimes = st.one_of(st.none(), st.none(), near)
    unread = draw(st.integers(0, 3))
    s.span = SpanState(
        is_participant=not draw(RARELY),
        muted_until=draw(sometimes) if draw(RARELY) else None,
        unread_count=unread,
        sender_names=("Ana",),
        deleted_count=draw(st.integers(0, 2)),
        unread_from_seq=1 if unread else None,
        unread_since=draw(near) if unread else None,
    )
    on_screen = frozenset({draw(st.sampled_from([CHANNEL, OTHER]))}) if draw(RARELY) else frozenset()
    s.attention = Attention(draw(st.booleans()), draw(RARELY), on_screen)
    person = Person("bo", draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(ZONES)), not draw(RARELY))
    person.email = draw(st.sampled_from(["bo@example.com", None]))
    s.person = None if draw(RARELY) and draw(RARELY) else person
    s.subscribed = draw(st.booleans())
    quiet = st.builds(QuietHours, st.builds(Window, CLOCKS, CLOCKS), st.sampled_from(ZONES))
    s.preferences = Preferences(
        Channels(*(not draw(RARELY) for _ in LADDER)),
        Categories(messages=not draw(RARELY)),
        draw(st.one_of(st.none(), quiet, quiet)),
        draw(sometimes) if draw(RARELY) else None,
    )
    standings = st.builds(Standing, RARELY, RARELY)
    s.ways = {
        name: Way(on=not draw(RARELY), delay_s=delay, standing=draw(standings), held_until=draw(sometimes))
        for name, delay in DELAYS_S.items()
    }
    progress: Any = st.sampled_from(["none", "to_come", "to_come", "sending", "accepted", "unknown", "failed"])
    s.progress = {name: Earlier(name, draw(progress), draw(near)) for name in LADDER}
    s.default_zone = draw(st.sampled_from([None, None, "Europe/Berlin"]))
    s.told = draw(st.sampled_from([None, None, None, "sms", "email"]))
    return s


def decisions(s: Situation) -> Mapping[str, tuple[Snapshot, Decision]]:
    """Return what is decided for each transport."""
    return {name: (snapshot, decide(snapshot)) for name, snapshot in s.snapshots().items()}


def shown(moment: datetime, zone: str) -> time:
    return moment.astimezone(ZoneInfo(zone)).time()


def covers(window: Window, clock: time) -> bool:
    """Whether it is quiet, said another way: as minutes after the start."""
    minutes = [60 * one.hour + one.minute for one in (window.start, window.end, clock)]
    start, end, at = minutes
    return (at - start) % 1440 < (end - start) % 1440


def disturbs(snapshot: Snapshot, decision: Decision) -> bool:
    """Whether something is sent within quiet hours, or may arrive within them."""
    quiet = snapshot.preferences.quiet_hours
    if not isinstance(decision, Send) or quiet is None or quiet.window.start == quiet.window.end:
        return False
    assert decision.where is not None, "quiet hours always hang on a clock somewhere"
    arrival = snapshot.now + timedelta(seconds=max(decision.validity_s - 1, 0))
    return any(
        covers(quiet.window, shown(moment, zone)) for zone in decision.where.zones for moment in (snapshot.now, arrival)
    )


@given(situations())
@settings(max_examples=200)
def test_nothing_is_sent_in_quiet_hours(s: Situation) -> None:
    for snapshot, decision in decisions(s).values():
        assert not disturbs(snapshot, decision)


@given(situations())
@settings(max_examples=150)
def test_nothing_is_sent_of_what_is_read_or_deleted_or_to_whom_it_doesnt_concern(s: Situation) -> None:
    for snapshot, decision in decisions(s).values():
        span, recipient = snapshot.span, snapshot.recipient
        gone = recipient is None or not recipient.active or not span.is_participant
        if span.unread_count == 0 or gone:
            assert isinstance(decision, Suppress)
        if isinstance(decision, Send):
            assert snapshot.target.reachable_by(snapshot.transport)
            assert not (snapshot.attention.online and snapshot.attention.active)


@given(situations())
@settings(max_examples=150)
def test_what_is_put_off_is_decided_again_later_but_not_much_later_than_the_reason_passes(s: Situation) -> None:
    for snapshot, decision in decisions(s).values():
        if isinstance(decision, Postpone):
            ahead = decision.until - snapshot.now
            assert timedelta(seconds=1) <= ahead <= timedelta(hours=48)
            if decision.reason in {"on_screen", "online_active"}:
                assert ahead <= timedelta(minutes=1)


@given(situations())
@settings(max_examples=100, deadline=None)
def test_putting_off_comes_to_an_end(s: Situation) -> None:
    """Once nobody is at a device and nothing better is to come, a few decisions lead to an end, with the clock."""
    s.attention = Attention()
    s.progress = {name: replace(one, progress="none") for name, one in s.progress.items()}
    for name in LADDER:
        for _ in range(12):
            decision = decide(s.snapshots()[name])
            if not isinstance(decision, Postpone):
                break
            s.now = decision.until
        assert not isinstance(decision, Postpone)


def senders(s: Situation) -> list[str]:
    """Return which transports send, of those that have yet to: the others aren't asked."""
    all_of_them = decisions(s)
    asked = [name for name in LADDER if s.progress[name].progress == "to_come" and s.ways[name].on]
    return [name for name in asked if isinstance(all_of_them[name][1], Send)]


@given(situations())
@settings(max_examples=200)
def test_at_most_one_transport_sends_at_a_time(s: Situation) -> None:
    assert len(senders(s)) <= 1


@given(situations())
def test_the_same_snapshot_gives_the_same_decision(s: Situation) -> None:
    for snapshot, decision in decisions(s).values():
        assert decide(replace(snapshot)) == decision


@given(situations())
def test_every_decision_says_why_and_where_its_clock_hangs(s: Situation) -> None:
    for snapshot, decision in decisions(s).values():
        assert decision.reason
        if decision.where is not None and decision.where.source == "default_zone":
            assert decision.where.zones == (snapshot.default_zone,)
            assert "default_zone" in (noted(decision) or "")


def in_utc(s: Snapshot, _: QuietHours) -> Whereabouts:
    """Broken: everybody's clock hangs in Greenwich."""
    return Whereabouts(("UTC",), "profile")


def test_a_clock_in_utc_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "whereabouts_of", in_utc)
    s = Situation()
    s.now = datetime(2026, 6, 3, 20, 0, tzinfo=UTC)  # 22:00 in Berlin
    snapshot = s.snapshots()["push"]
    decision = decide(snapshot)
    assert disturbs(snapshot, replace(decision, where=Whereabouts(("Europe/Berlin",), "profile")))


def test_a_ladder_without_turns_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert senders(Situation()) == ["push"]
    monkeypatch.setattr(gates, "_turn_after", lambda *_: None)
    assert senders(Situation()) == ["push", "sms", "email"]
