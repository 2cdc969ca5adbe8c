"""Whether somebody is sent something now: a pure function of a snapshot.

It is asked twice: when an alert falls due, and again right before the provider is called.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from modules.notifications.domain.preferences import Preferences
from modules.notifications.domain.quiet_hours import is_quiet, quiet_begins, quiet_ends
from modules.notifications.domain.zones import zones_of
from modules.notifications.ports import Recipient, SpanState
from realtime.attention import Attention

LONGEST_VALIDITY = timedelta(minutes=30)
SHORTEST_VALIDITY = timedelta(minutes=1)
"""With less than this to go until quiet hours, a message would sooner expire on its way than arrive."""

Reason = Literal[
    "deactivated",
    "not_participant",
    "deleted",
    "read",
    "muted",
    "on_screen",
    "online_active",
    "preferences",
    "paused",
    "transport_off",
    "no_address",
    "invalid_address",
    "opted_out",
    "time_zone_unknown",
]


class Standing(msgspec.Struct, frozen=True):
    """What is known of an address."""

    opted_out: bool = False
    invalid: bool = False


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that a decision depends on, at one moment."""

    now: datetime
    channel_id: UUID
    span: SpanState
    attention: Attention
    recipient: Recipient | None
    preferences: Preferences
    standing: Standing = Standing()
    transport_on: bool = True
    transport_paused_until: datetime | None = None


class Send(msgspec.Struct, frozen=True):
    """Send it, to arrive within `validity_s` seconds or not at all."""

    validity_s: int


class Postpone(msgspec.Struct, frozen=True):
    """Decide again at `until`."""

    until: datetime


class Suppress(msgspec.Struct, frozen=True):
    """Never send it, and keep why."""

    reason: Reason


Decision: TypeAlias = Send | Postpone | Suppress

GATES: tuple[tuple[Reason, Callable[[Snapshot], bool]], ...] = (
    ("deactivated", lambda s: s.recipient is None or not s.recipient.active),
    ("not_participant", lambda s: not s.span.is_participant),
    ("deleted", lambda s: s.span.unread_count == 0 and s.span.deleted_count > 0),
    ("read", lambda s: s.span.unread_count == 0),
    ("muted", lambda s: _ahead(s.span.muted_until, s.now)),
    ("on_screen", lambda s: s.channel_id in s.attention.on_screen),
    ("online_active", lambda s: s.attention.online and s.attention.active),
    ("preferences", lambda s: not (s.preferences.channels.sms and s.preferences.categories.messages)),
    ("paused", lambda s: _ahead(s.preferences.paused_until, s.now)),
    ("transport_off", lambda s: not s.transport_on),
    ("no_address", lambda s: s.recipient is None or s.recipient.phone is None),
    ("invalid_address", lambda s: s.standing.invalid),
    ("opted_out", lambda s: s.standing.opted_out),
)
"""Why somebody isn't sent anything, the first that holds. An open but idle device is no reason."""


def decide(snapshot: Snapshot) -> Decision:
    """Send, put off or suppress. The same snapshot always gives the same decision."""
    for reason, holds in GATES:
        if holds(snapshot):
            return Suppress(reason)
    if snapshot.transport_paused_until is not None and _ahead(snapshot.transport_paused_until, snapshot.now):
        return Postpone(snapshot.transport_paused_until)
    return _within_quiet_hours(snapshot)


def _within_quiet_hours(s: Snapshot) -> Decision:
    quiet = s.preferences.quiet_hours
    if quiet is None or s.recipient is None:
        return Send(_seconds(LONGEST_VALIDITY))
    zones = zones_of(quiet.time_zone, s.recipient.time_zone, s.recipient.phone)
    begins = quiet_begins(quiet.window, zones, s.now, LONGEST_VALIDITY)
    validity = LONGEST_VALIDITY if begins is None else min(begins - s.now, LONGEST_VALIDITY)
    if zones and not is_quiet(quiet.window, zones, s.now) and validity >= SHORTEST_VALIDITY:
        return Send(_seconds(validity))
    ends = quiet_ends(quiet.window, zones, s.now) if zones else None
    return Suppress("time_zone_unknown") if ends is None else Postpone(ends)


def _ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
