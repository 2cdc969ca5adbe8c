"""Situations in which it is decided on an alert, in the words of the guide's table, and decisions in its words.

Unless a situation says otherwise: Bo is away, lives in Berlin, where it is 14:00 on 3 June 2026, and can be reached by
push, SMS and e-mail, all of which are set up with their usual delays. An hour ago Ana wrote to him. He never chose
anything, and nothing was sent yet.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from modules.notifications.domain.addresses import Subscription, Target
from modules.notifications.domain.decision import Decision, Postpone, Send, Snapshot, Standing, Suppress, Way
from modules.notifications.domain.ladder import LADDER, Earlier, better_than
from modules.notifications.domain.preferences import QuietHours, defaults
from modules.notifications.domain.quiet_hours import Window
from modules.notifications.domain.snapshot import News
from modules.notifications.ports import InviteEnd
from realtime.attention import Attention
from tests.modules.notifications.world import Person, SpanState

GUIDE = Path(__file__).parents[3] / "docs/guides/alerts.md"
CHANNEL, OTHER = UUID(int=1), UUID(int=2)
HOME = "Europe/Berlin"
DELAYS_S = {"push": 20.0, "sms": 120.0, "email": 1800.0}
NAMES = {"push": "push", "SMS": "sms", "e-mail": "email"}
NEWS: Mapping[str, News] = {
    "invited him": "received",
    "reminds him of her invitation": "reminder",
    "accepted his invitation": "accepted",
}
UNITS = {"s": 1, "min": 60, "h": 3600}


class Situation:
    """What is the case; phrases change it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 3, 14, tzinfo=ZoneInfo(HOME)).astimezone(UTC)
        self.span = SpanState(True, None, 1, ("Ana",), 0, 1, self.now - timedelta(hours=1))
        self.news: News = "messages"
        self.ended: InviteEnd | None = None
        self.attention = Attention()
        self.person: Person | None = Person("bo", email="bo@example.com")
        self.subscribed = True
        self.preferences = defaults("21:00-09:00")
        self.ways = {name: Way(delay_s=delay) for name, delay in DELAYS_S.items()}
        self.progress = {name: Earlier(name, "to_come", self.now) for name in LADDER}
        self.told: str | None = None
        self.default_zone: str | None = None

    def snapshots(self) -> Mapping[str, Snapshot]:
        """Return what each transport decides on."""
        return {name: self._snapshot(name) for name in LADDER}

    def _snapshot(self, transport: str) -> Snapshot:
        someone = self.person or Person("bo", phone=None)
        subscriptions = (Subscription(OTHER, "https://push.example/1", "", ""),) if self.subscribed else ()
        return Snapshot(
            now=self.now,
            transport=transport,
            thread_id=CHANNEL,
            span=self.span,
            news=self.news,
            ended=self.ended,
            attention=self.attention,
            recipient=self.person,
            target=Target(phone=someone.phone, email=someone.email, subscriptions=subscriptions),
            preferences=self.preferences,
            ways=self.ways,
            earlier=tuple(self.progress[better] for better in better_than(transport)),
            overtaken=self.told is not None and transport in better_than(self.told),
            default_zone=self.default_zone,
        )


Phrase = Callable[..., None]
PHRASES: dict[re.Pattern[str], Phrase] = {}


def phrase(pattern: str) -> Callable[[Phrase], Phrase]:
    """Let a function change the situation when it is said so."""

    def register(change: Phrase) -> Phrase:
        PHRASES[re.compile(pattern)] = change
        return change

    return register


def situation(text: str) -> Situation:
    """Understand a situation. What isn't understood is an error."""
    found = Situation()
    for part in text.split("; "):
        matches = [(change, match) for pattern, change in PHRASES.items() if (match := pattern.fullmatch(part))]
        if len(matches) != 1:
            raise ValueError(f"{part!r} is understood in {len(matches)} ways")
        [(change, match)] = matches
        change(found, *match.groups())
    return found


def seconds(number: str, unit: str) -> timedelta:
    return timedelta(seconds=int(number) * UNITS[unit])


def clock(text: str) -> time:
    return time.fromisoformat(text)


@phrase("nothing else")
def _nothing(_: Situation) -> None:
    pass


@phrase(r"sent (\d+) (s|min|h) ago")
def _sent(s: Situation, number: str, unit: str) -> None:
    s.span = replace(s.span, unread_since=s.now - seconds(number, unit))


@phrase(r"(?:on (\d{4}-\d\d-\d\d) )?at (\d\d:\d\d(?::\d\d)?)(?: in ([A-Za-z_/]+))?( again)?")
def _at(s: Situation, day: str | None, wall: str, zone: str | None, again: str | None) -> None:
    shown = datetime.combine(datetime.fromisoformat(day or "2026-06-03"), clock(wall), ZoneInfo(zone or HOME))
    s.now = shown.replace(fold=1 if again else 0).astimezone(UTC)
    s.span = replace(s.span, unread_since=s.now - timedelta(hours=1))
    s.progress = {name: Earlier(name, "to_come", s.now) for name in LADDER}


@phrase("read")
def _read(s: Situation) -> None:
    s.span = replace(s.span, unread_count=0, unread_from_seq=None, unread_since=None)


@phrase(r"Ana (invited him|reminds him of her invitation|accepted his invitation)")
def _invitation(s: Situation, what: str) -> None:
    s.news = NEWS[what]


@phrase("(answered|withdrawn)")
def _ended(s: Situation, how: InviteEnd) -> None:
    s.ended = how
    s.span = replace(s.span, unread_count=0, unread_from_seq=None, unread_since=None)


@phrase("deleted")
def _deleted(s: Situation) -> None:
    s.span = replace(s.span, unread_count=0, deleted_count=2, unread_from_seq=None, unread_since=None)


@phrase("one of two deleted")
def _half_deleted(s: Situation) -> None:
    s.span = replace(s.span, deleted_count=1)


@phrase("muted( until an hour ago)?")
def _muted(s: Situation, over: str | None) -> None:
    s.span = replace(s.span, muted_until=s.now + timedelta(hours=-1 if over else 1))


@phrase("left the channel")
def _left(s: Situation) -> None:
    s.span = replace(s.span, is_participant=False)


@phrase("deactivated")
def _deactivated(s: Situation) -> None:
    s.person = Person("bo", email="bo@example.com", active=False)


@phrase("nobody knows him")
def _unknown(s: Situation) -> None:
    s.person, s.subscribed = None, False


@phrase("the channel is on his screen")
def _on_screen(s: Situation) -> None:
    s.attention = Attention(online=True, active=True, on_screen=frozenset({CHANNEL}))


@phrase("another channel is on his screen")
def _elsewhere(s: Situation) -> None:
    s.attention = Attention(online=True, active=True, on_screen=frozenset({OTHER}))


@phrase("active")
def _active(s: Situation) -> None:
    s.attention = Attention(online=True, active=True)


@phrase("online, but idle")
def _idle(s: Situation) -> None:
    s.attention = Attention(online=True)


@phrase("(push|SMS|e-mail|messages|invitations) switched off")
def _switched_off(s: Situation, what: str) -> None:
    if what in NAMES:
        s.preferences = replace(s.preferences, channels=replace(s.preferences.channels, **{NAMES[what]: False}))
    else:
        choice = {"messages": "messages", "invitations": "invites"}[what]
        s.preferences = replace(s.preferences, categories=replace(s.preferences.categories, **{choice: False}))


@phrase(r"paused for (\d+) (s|min|h)")
def _paused(s: Situation, number: str, unit: str) -> None:
    s.preferences = replace(s.preferences, paused_until=s.now + seconds(number, unit))


@phrase("paused until an hour ago")
def _no_longer_paused(s: Situation) -> None:
    s.preferences = replace(s.preferences, paused_until=s.now - timedelta(hours=1))


@phrase("no quiet hours")
def _no_quiet_hours(s: Situation) -> None:
    s.preferences = replace(s.preferences, quiet_hours=None)


@phrase(r"quiet hours (\d\d:\d\d)-(\d\d:\d\d)(?: in ([A-Za-z_/]+))?")
def _quiet_hours(s: Situation, start: str, end: str, zone: str | None) -> None:
    s.preferences = replace(s.preferences, quiet_hours=QuietHours(Window(clock(start), clock(end)), zone))


@phrase(r"no zone|lives in ([A-Za-z_/]+)")
def _lives(s: Situation, zone: str | None) -> None:
    assert s.person is not None
    s.person.time_zone = zone


@phrase(r"the deployment's zone is ([A-Za-z_/]+)")
def _default_zone(s: Situation, zone: str) -> None:
    s.default_zone = zone


@phrase(r"number (\+\d+)|no number")
def _number(s: Situation, number: str | None) -> None:
    assert s.person is not None
    s.person.phone = number


@phrase("no e-mail address")
def _no_email(s: Situation) -> None:
    assert s.person is not None
    s.person.email = None


@phrase("no subscription")
def _no_subscription(s: Situation) -> None:
    s.subscribed = False


@phrase("(push|SMS|e-mail) isn't set up")
def _off(s: Situation, name: str) -> None:
    s.ways[NAMES[name]] = replace(s.ways[NAMES[name]], on=False)
    s.progress[NAMES[name]] = Earlier(NAMES[name])


@phrase(r"(push|SMS|e-mail) on hold for (\d+) (s|min|h)")
def _on_hold(s: Situation, name: str, number: str, unit: str) -> None:
    s.ways[NAMES[name]] = replace(s.ways[NAMES[name]], held_until=s.now + seconds(number, unit))


@phrase(r"(push|SMS|e-mail) held until a minute ago")
def _no_longer_held(s: Situation, name: str) -> None:
    s.ways[NAMES[name]] = replace(s.ways[NAMES[name]], held_until=s.now - timedelta(minutes=1))


@phrase(r"SMS over the (day's|person's) cap for (\d+) (s|min|h)")
def _capped(s: Situation, whose: str, number: str, unit: str) -> None:
    until, why = s.now + seconds(number, unit), "cost_cap" if whose == "day's" else "cost_cap_recipient"
    s.ways["sms"] = replace(s.ways["sms"], held_until=until, held_by=why)


@phrase(r"the SMS is put off by a cap for (\d+) (s|min|h)")
def _delivery_capped(s: Situation, number: str, unit: str) -> None:
    s.progress["sms"] = Earlier("sms", "to_come", s.now + seconds(number, unit), "cost_cap")


@phrase("(number|address) (invalid|opted out)")
def _standing(s: Situation, of: str, what: str) -> None:
    name = "sms" if of == "number" else "email"
    standing = Standing(invalid=True) if what == "invalid" else Standing(opted_out=True)
    s.ways[name] = replace(s.ways[name], standing=standing)


@phrase(r"(push|SMS) due in (\d+) (s|min|h)")
def _due(s: Situation, name: str, number: str, unit: str) -> None:
    s.progress[NAMES[name]] = Earlier(NAMES[name], "to_come", s.now + seconds(number, unit))


@phrase(r"(push|SMS) accepted (\d+) (s|min|h) ago")
def _accepted(s: Situation, name: str, number: str, unit: str) -> None:
    s.progress[NAMES[name]] = Earlier(NAMES[name], "accepted", s.now - seconds(number, unit))


@phrase("(push|SMS) (failed|unknown|under way|never began)")
def _progress(s: Situation, name: str, how: str) -> None:
    progress: Any = {"under way": "sending", "never began": "none"}.get(how, how)
    s.progress[NAMES[name]] = Earlier(NAMES[name], progress, s.now)


@phrase("(SMS|e-mail) has told of the newest message")
def _told(s: Situation, name: str) -> None:
    s.told = NAMES[name]


class Case(NamedTuple):
    """A row of the guide's table: a situation and what each transport does, None where it has done already."""

    situation: str
    verdicts: Mapping[str, str | None]


def cases(guide: str) -> list[Case]:
    """Return the rows of the tables of cases in the guide."""
    found = []
    for line in guide.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 1 + len(LADDER) and cells[0] not in {"situation", "---"}:
            verdicts = dict(zip(LADDER, cells[1:], strict=True))
            found.append(Case(cells[0], {name: None if cell == "–" else cell for name, cell in verdicts.items()}))
    return found


def told(decision: Decision, snapshot: Snapshot) -> str:
    """Put a decision into the words of the table."""
    where = decision.where
    source = f" ({where.source})" if where is not None and where.source != "profile" else ""
    if isinstance(decision, Suppress):
        return f"never `{decision.reason}`{source}"
    if isinstance(decision, Send):
        minutes = decision.validity_s // 60
        return f"send{f' within {minutes} min' if minutes < 30 else ''} `{decision.reason}`{source}"
    return f"{_when(decision, snapshot.now)} `{decision.reason}`{source}"


def _when(decision: Postpone, now: datetime) -> str:
    if decision.where is not None:
        there = ZoneInfo(decision.where.zones[0])
        until, today = decision.until.astimezone(there), now.astimezone(there).date()
        days = (until.date() - today).days
        return f"at {until:%H:%M}" if days <= 1 else f"at {until:%H:%M} in {days} days"
    ahead = (decision.until - now).total_seconds()
    unit = next(unit for unit in ("h", "min", "s") if ahead % UNITS[unit] == 0)
    return f"in {ahead / UNITS[unit]:.0f} {unit}"
