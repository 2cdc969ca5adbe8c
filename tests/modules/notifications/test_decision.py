"""Who is sent something, and who isn't and why: every reason, and their order."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from modules.notifications.domain.addresses import Target
from modules.notifications.domain.decision import (
    Decision,
    Postpone,
    Send,
    Snapshot,
    Standing,
    Suppress,
    Way,
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
from modules.notifications.domain.zones import Whereabouts
from realtime.attention import Attention
from tests.modules.notifications.world import Person, SpanState

CHANNEL = uuid4()
NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)  # 14:00 in Berlin
SOON, BEFORE = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
SPAN = SpanState(is_participant=True, muted_until=None, unread_count=2, sender_names=("Ana",))
SHORTLY = NOW + timedelta(minutes=1)
HALF_AN_HOUR = Send(validity_s=1800)


def snapshot(**changes: Any) -> Snapshot:
    defaults_: dict[str, Any] = {
        "now": NOW,
        "channel_id": CHANNEL,
        "span": SPAN,
        "attention": Attention(),
        "recipient": Person("bo"),
        "preferences": defaults("21:00-09:00"),
        "transport": "sms",
        "ways": {"push": Way(on=False), "sms": changes.pop("way", Way()), "email": Way(on=False)},
    }
    values = defaults_ | changes
    return Snapshot(target=Target(phone=getattr(values["recipient"], "phone", None)), **values)


def span(**changes: Any) -> SpanState:
    return msgspec.structs.replace(SPAN, **changes)


def preferring(**changes: Any) -> Preferences:
    return msgspec.structs.replace(defaults("21:00-09:00"), **changes)


def nowhere(decision: Decision) -> Decision:
    """Return the decision without the zones that it rests on."""
    return msgspec.structs.replace(decision, where=None)


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
        ({"attention": Attention(True, True, frozenset({CHANNEL}))}, Postpone(SHORTLY, "on_screen")),
        ({"attention": Attention(True, True, frozenset({uuid4()}))}, Postpone(SHORTLY, "online_active")),
        ({"attention": Attention(True, True)}, Postpone(SHORTLY, "online_active")),
        ({"attention": Attention(online=True)}, HALF_AN_HOUR),
        ({"preferences": preferring(channels=Channels(sms=False))}, Suppress("preferences")),
        ({"preferences": preferring(categories=Categories(messages=False))}, Suppress("preferences")),
        ({"preferences": preferring(channels=Channels(push=False, email=False))}, HALF_AN_HOUR),
        ({"preferences": preferring(paused_until=SOON)}, Postpone(SOON, "paused")),
        ({"preferences": preferring(paused_until=BEFORE)}, HALF_AN_HOUR),
        ({"way": Way(on=False)}, Suppress("transport_off")),
        ({"recipient": Person("bo", phone=None)}, Suppress("no_address")),
        ({"way": Way(standing=Standing(invalid=True))}, Suppress("invalid_address")),
        ({"way": Way(standing=Standing(opted_out=True))}, Suppress("opted_out")),
        ({"way": Way(held_until=SOON)}, Postpone(SOON, "on_hold")),
        ({"way": Way(held_until=BEFORE)}, HALF_AN_HOUR),
        ({"preferences": Preferences()}, HALF_AN_HOUR),
        ({"recipient": Person("bo", phone="+881612345678", time_zone=None)}, Suppress("time_zone_unknown")),
    ],
)
def test_every_reason(changes: dict[str, Any], decision: Decision) -> None:
    assert nowhere(decide(snapshot(**changes))) == decision


@pytest.mark.parametrize(
    ("clock", "decision"),
    [
        ("2026-06-03T18:00:00", HALF_AN_HOUR),  # 20:00 in Berlin
        ("2026-06-03T18:40:00", Send(1200)),  # not to arrive after 21:00
        ("2026-06-03T18:58:30", Send(90)),
        ("2026-06-03T18:59:30", Postpone(datetime(2026, 6, 4, 7, 0, tzinfo=UTC), "quiet_hours")),
        ("2026-06-03T19:00:00", Postpone(datetime(2026, 6, 4, 7, 0, tzinfo=UTC), "quiet_hours")),
        ("2026-06-04T06:59:59", Postpone(datetime(2026, 6, 4, 7, 0, tzinfo=UTC), "quiet_hours")),
        ("2026-06-04T07:00:00", HALF_AN_HOUR),
    ],
)
def test_quiet_hours_put_off_to_their_end_in_the_recipients_zone(clock: str, decision: Decision) -> None:
    now = datetime.fromisoformat(clock).replace(tzinfo=UTC)
    assert nowhere(decide(snapshot(now=now))) == decision


def test_the_zone_chosen_for_quiet_hours_goes_first() -> None:
    quiet = QuietHours(Window(time(21), time(9)), "Asia/Tokyo")  # 21:00 there
    assert isinstance(decide(snapshot(preferences=preferring(quiet_hours=quiet))), Postpone)


def test_without_a_zone_the_number_tells_and_all_its_zones_count() -> None:
    portugal = Person("bo", phone="+351912345678", time_zone=None)
    lisbon_only = datetime(2026, 6, 3, 8, 30, tzinfo=UTC)  # 09:30 there, 08:30 on the Azores
    assert decide(snapshot(now=lisbon_only, recipient=portugal)) == Postpone(
        datetime(2026, 6, 3, 9, 0, tzinfo=UTC),
        "quiet_hours",
        Whereabouts(("Atlantic/Azores", "Europe/Lisbon"), "number"),
    )


def test_what_was_read_is_not_put_off() -> None:
    night = datetime(2026, 6, 3, 23, 0, tzinfo=UTC)
    assert decide(snapshot(now=night, span=span(unread_count=0))) == Suppress("read")
