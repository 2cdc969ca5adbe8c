"""The gates of a decision, in order. The first that doesn't let a snapshot through decides.

First come those that will never open again, then those that open by themselves: somebody who is there, or asleep, is
asked about later. An open but idle device is no gate: nobody may be sitting at it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

from modules.notifications.domain.ladder import WAITING, Earlier
from modules.notifications.domain.preferences import QuietHours
from modules.notifications.domain.quiet_hours import is_quiet, quiet_begins, quiet_ends
from modules.notifications.domain.reasons import Never, NotNow, Now
from modules.notifications.domain.snapshot import Snapshot
from modules.notifications.domain.verdicts import Decision, Postpone, Send, Suppress
from modules.notifications.domain.zones import Whereabouts, whereabouts

LONGEST_VALIDITY = timedelta(minutes=30)
SHORTEST_VALIDITY = timedelta(minutes=1)
"""With less than this to go until quiet hours, a message would sooner expire on its way than arrive."""
AT_LEAST = timedelta(seconds=1)
"""How far ahead a decision is put off, whatever the reason: deciding again at once would find the same."""
HELD = frozenset({"cost_cap", "cost_cap_recipient", "on_hold"})
SHORT_HOLD = timedelta(minutes=1)
"""A better transport that is held back for longer isn't waited for: that may take until tomorrow."""
FAILED = frozenset({"failed", "unknown"})

OF_THE_NEWS: Mapping[Never, Callable[[Snapshot], bool]] = {
    "deactivated": lambda s: s.recipient is None or not s.recipient.active,
    "not_participant": lambda s: not s.span.is_participant,
    "answered": lambda s: s.ended == "answered",
    "withdrawn": lambda s: s.ended == "withdrawn",
    "deleted": lambda s: s.span.unread_count == 0 and s.span.deleted_count > 0,
    "read": lambda s: s.span.unread_count == 0,
    "muted": lambda s: _ahead(s.span.muted_until, s.now),
}
"""Why nobody need hear of it, by whatever transport."""

OF_THE_WAY: Mapping[Never, Callable[[Snapshot, str], bool]] = {
    "preferences": lambda s, way: (
        not (getattr(s.preferences.channels, way) and getattr(s.preferences.categories, s.category))
    ),
    "transport_off": lambda s, way: not s.ways[way].on,
    "no_subscription": lambda s, way: way == "push" and not s.target.reachable_by(way),
    "no_address": lambda s, way: not s.target.reachable_by(way),
    "invalid_address": lambda s, way: s.ways[way].standing.invalid,
    "opted_out": lambda s, way: s.ways[way].standing.opted_out,
}
"""Why this person can't be reached by a transport."""


def unreachable(s: Snapshot, transport: str) -> Never | None:
    """Return why this person can't be reached by a transport; None if they can."""
    return next((reason for reason, holds in OF_THE_WAY.items() if holds(s, transport)), None)


def concerned(s: Snapshot) -> Decision | None:
    """Whether it still concerns the person."""
    return next((Suppress(reason) for reason, holds in OF_THE_NEWS.items() if holds(s)), None)


def reachable(s: Snapshot) -> Decision | None:
    """Whether the person can be reached this way, and nobody was faster."""
    reason = unreachable(s, s.transport)
    if reason is not None:
        return Suppress(reason)
    return Suppress("reached_otherwise") if s.overtaken or _needs_no_more(s) else None


def somewhere(s: Snapshot) -> Decision | None:
    """Whether it is known what the clock on the person's wall shows, where that matters."""
    quiet = _wanted(s)
    if quiet is None:
        return None
    where = whereabouts_of(s, quiet)
    nowhere = where is None or (_quiet(s, quiet, where) and quiet_ends(quiet.window, where.zones, s.now) is None)
    return Suppress("time_zone_unknown", where) if nowhere else None


def looking(s: Snapshot) -> Decision | None:
    """Whether they are looking at the channel, or at a device: then they see it, or are asked about soon."""
    again = s.now + max(timedelta(seconds=s.recheck_s), AT_LEAST)
    if s.thread_id in s.attention.on_screen:
        return Postpone(again, "on_screen")
    if not (s.attention.online and s.attention.active):
        return None
    return Suppress("seen") if _seen(s) else Postpone(again, "online_active")


def paused(s: Snapshot) -> Decision | None:
    """Whether they want to hear of nothing for a while."""
    until = s.preferences.paused_until
    return _later(s, until, "paused") if until is not None and until > s.now else None


def quiet(s: Snapshot) -> Decision | None:
    """Whether it is, or is about to be, a time at which nobody is disturbed."""
    wanted = _wanted(s)
    where = None if wanted is None else whereabouts_of(s, wanted)
    if wanted is None or where is None or not _quiet(s, wanted, where):
        return None
    ends = quiet_ends(wanted.window, where.zones, s.now)
    return None if ends is None else _later(s, ends, "quiet_hours", where)


def grace(s: Snapshot) -> Decision | None:
    """Whether the first unread message has waited for as long as this transport lets it."""
    since = s.span.unread_since
    if since is None:
        return None
    over = since + timedelta(seconds=s.way.delay_s)
    return _later(s, over, "grace") if over > s.now else None


def turn(s: Snapshot) -> Decision | None:
    """Whether a better transport goes first, or needs more time to be noticed."""
    for better in s.earlier:
        until = _turn_after(s, better)
        if until is not None and until > s.now:
            return _later(s, until, WAITING[better.transport])
    return None


def free(s: Snapshot) -> Decision | None:
    """Whether the transport works at present."""
    until = s.way.held_until
    return _later(s, until, s.way.held_by) if until is not None and until > s.now else None


Gate: TypeAlias = Callable[[Snapshot], Decision | None]
GATES: tuple[Gate, ...] = (concerned, reachable, somewhere, looking, paused, quiet, grace, turn, free)


def sending(s: Snapshot) -> Send:
    """Return what lets a snapshot through that no gate has stopped."""
    wanted = _wanted(s)
    where = None if wanted is None else whereabouts_of(s, wanted)
    tried = {better.progress for better in s.earlier}
    reason: Now = "stayed_unread" if "accepted" in tried else "others_failed" if tried & FAILED else "first_choice"
    return Send(int(_validity(s, wanted, where).total_seconds()), reason, where)


def whereabouts_of(s: Snapshot, quiet: QuietHours) -> Whereabouts | None:
    """Return where the person's quiet hours are reckoned."""
    profile = None if s.recipient is None else s.recipient.time_zone
    return whereabouts(quiet.time_zone, profile, s.target.phone, s.default_zone)


def _needs_no_more(s: Snapshot) -> bool:
    """An acceptance asks nothing of anybody: told by one transport, it is told."""
    return s.news == "accepted" and any(better.progress == "accepted" for better in s.earlier)


def _seen(s: Snapshot) -> bool:
    """Whether they used a device after an acceptance: nothing marks that as read, but their pages were told of it."""
    since = s.span.unread_since
    return s.news == "accepted" and since is not None and since + timedelta(seconds=s.away_after_s) <= s.now


def _wanted(s: Snapshot) -> QuietHours | None:
    quiet = s.preferences.quiet_hours
    return None if quiet is None or quiet.window.is_empty else quiet


def _quiet(s: Snapshot, quiet: QuietHours, where: Whereabouts) -> bool:
    return is_quiet(quiet.window, where.zones, s.now) or _validity(s, quiet, where) < SHORTEST_VALIDITY


def _validity(s: Snapshot, quiet: QuietHours | None, where: Whereabouts | None) -> timedelta:
    if quiet is None or where is None:
        return LONGEST_VALIDITY
    begins = quiet_begins(quiet.window, where.zones, s.now, LONGEST_VALIDITY)
    return LONGEST_VALIDITY if begins is None else min(begins - s.now, LONGEST_VALIDITY)


def _turn_after(s: Snapshot, better: Earlier) -> datetime | None:
    lead = timedelta(seconds=max(0.0, s.way.delay_s - s.ways[better.transport].delay_s))
    if better.progress == "accepted" and better.at is not None:
        return better.at + lead
    if better.progress == "sending":
        return s.now + max(lead, AT_LEAST)
    if better.progress != "to_come" or unreachable(s, better.transport) is not None:
        return None
    due = max(better.at or s.now, s.now)
    free_at = s.ways[better.transport].held_until or s.now
    put_off = due if better.reason in HELD else s.now
    if max(free_at, put_off) > s.now + SHORT_HOLD:
        return None
    return max(due, free_at) + max(lead, AT_LEAST)


def _later(s: Snapshot, until: datetime, reason: NotNow, where: Whereabouts | None = None) -> Postpone:
    return Postpone(max(until, s.now + AT_LEAST), reason, where)


def _ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now
