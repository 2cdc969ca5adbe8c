"""Who is sent something, and who isn't and why: every reason, and their order."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from modules.notifications.domain.decision import (
    GATES,
    Decision,
    Postpone,
    Send,
    Snapshot,
    Standing,
    Suppress,
    decide,
)
from modules.notifications.domain.preferences import (
    Categories,
    Channels,
    Preferences,
    QuietHours,
    defaults,
)
from modules.notifications.domain.quiet_hours import Window
from realtime.attention import Attention
from tests.modules.notifications.world import Person, SpanState

CHANNEL = uuid4()
NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)  # 14:00 in Berlin
SOON, BEFORE = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
SPAN = SpanState(is_participant=True, muted_until=None, unread_count=2, sender_names=("Ana",))
HALF_AN_HOUR = Send(validity_s=1800)


def snapshot(**changes: Any) -> Snapshot:
    defaults_: dict[str, Any] = {
        "now": NOW,
        "channel_id": CHANNEL,
        "span": SPAN,
        "attention": Attention(),
        "recipient": Person("bo"),
        "preferences": defaults("21:00-09:00"),
    }
    return Snapshot(**(defaults_ | changes))


def span(**changes: Any) -> SpanState:
    return msgspec.structs.replace(SPAN, **changes)


def preferring(**changes: Any) -> Preferences:
    return msgspec.structs.replace(defaults("21:00-09:00"), **changes)


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({}, HALF_AN_HOUR),
        ({"recipient": None}, Suppress("deactivated")),
        ({"recipient": Person("bo", active=False)}, Suppress("deactivated")),
        ({"span": span(is_participant=False)}, Suppress("not_participant")),
        ({"span": span(unread_count=0)}, Suppress("read")),
        ({"span": span(unread_count=0, deleted_count=2)}, Suppress("deleted")),
        ({"span": span(deleted_count=2)}, HALF_AN_HOUR),
        ({"span": span(muted_until=SOON)}, Suppress("muted")),
        ({"span": span(muted_until=BEFORE)}, HALF_AN_HOUR),
        ({"attention": Attention(True, True, frozenset({CHANNEL}))}, Suppress("on_screen")),
        ({"attention": Attention(True, True, frozenset({uuid4()}))}, Suppress("online_active")),
        ({"attention": Attention(True, True)}, Suppress("online_active")),
        ({"attention": Attention(online=True)}, HALF_AN_HOUR),
        ({"preferences": preferring(channels=Channels(sms=False))}, Suppress("preferences")),
        ({"preferences": preferring(categories=Categories(messages=False))}, Suppress("preferences")),
        ({"preferences": preferring(channels=Channels(push=False, email=False))}, HALF_AN_HOUR),
        ({"preferences": preferring(paused_until=SOON)}, Suppress("paused")),
        ({"preferences": preferring(paused_until=BEFORE)}, HALF_AN_HOUR),
        ({"transport_on": False}, Suppress("transport_off")),
        ({"recipient": Person("bo", phone=None)}, Suppress("no_address")),
        ({"standing": Standing(invalid=True)}, Suppress("invalid_address")),
        ({"standing": Standing(opted_out=True)}, Suppress("opted_out")),
        ({"transport_paused_until": SOON}, Postpone(SOON)),
        ({"transport_paused_until": BEFORE}, HALF_AN_HOUR),
        ({"preferences": Preferences()}, HALF_AN_HOUR),
        ({"recipient": Person("bo", phone="+881612345678", time_zone=None)}, Suppress("time_zone_unknown")),
    ],
)
def test_every_reason(changes: dict[str, Any], decision: Decision) -> None:
    assert decide(snapshot(**changes)) == decision


def test_every_gate_has_been_seen_above() -> None:
    parameters = test_every_reason.pytestmark[0].args[1]
    seen = {decision.reason for _, decision in parameters if isinstance(decision, Suppress)}
    assert {reason for reason, _ in GATES} <= seen


@pytest.mark.parametrize(
    ("clock", "decision"),
    [
        ("2026-06-03T18:00:00", HALF_AN_HOUR),  # 20:00 in Berlin
        ("2026-06-03T18:40:00", Send(1200)),  # not to arrive after 21:00
        ("2026-06-03T18:58:30", Send(90)),
        ("2026-06-03T18:59:30", Postpone(datetime(2026, 6, 4, 7, 0, tzinfo=UTC))),
        ("2026-06-03T19:00:00", Postpone(datetime(2026, 6, 4, 7, 0, tzinfo=UTC))),
        ("2026-06-04T06:59:59", Postpone(datetime(2026, 6, 4, 7, 0, tzinfo=UTC))),
        ("2026-06-04T07:00:00", HALF_AN_HOUR),
    ],
)
def test_quiet_hours_put_off_to_their_end_in_the_recipients_zone(clock: str, decision: Decision) -> None:
    now = datetime.fromisoformat(clock).replace(tzinfo=UTC)
    assert decide(snapshot(now=now)) == decision


def test_the_zone_chosen_for_quiet_hours_goes_first() -> None:
    quiet = QuietHours(Window(time(21), time(9)), "Asia/Tokyo")  # 21:00 there
    assert isinstance(decide(snapshot(preferences=preferring(quiet_hours=quiet))), Postpone)


def test_without_a_zone_the_number_tells_and_all_its_zones_count() -> None:
    portugal = Person("bo", phone="+351912345678", time_zone=None)
    lisbon_only = datetime(2026, 6, 3, 8, 30, tzinfo=UTC)  # 09:30 there, 08:30 on the Azores
    assert decide(snapshot(now=lisbon_only, recipient=portugal)) == Postpone(datetime(2026, 6, 3, 9, 0, tzinfo=UTC))


def test_what_was_read_is_not_put_off() -> None:
    night = datetime(2026, 6, 3, 23, 0, tzinfo=UTC)
    assert decide(snapshot(now=night, span=span(unread_count=0))) == Suppress("read")
