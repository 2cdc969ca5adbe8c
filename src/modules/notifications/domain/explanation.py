"""What a decision comes to and why, in words for operators. No addresses, and nothing of what was written."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from kernel.clock import rfc3339
from modules.notifications.domain import gates
from modules.notifications.domain.alerts import OpenAlert
from modules.notifications.domain.decision import Decision, Postpone, Send, Snapshot, decide
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.ladder import Earlier
from modules.notifications.domain.reasons import MEANING
from modules.notifications.domain.zones import Whereabouts
from modules.notifications.ports import InviteNews, Span

NAMES: Mapping[str, str] = {"push": "push", "sms": "SMS", "email": "e-mail"}
LABEL = 14
SOURCES: Mapping[str, str] = {
    "chosen": "chosen with the quiet hours",
    "profile": "of the profile",
    "number": "from the telephone number",
    "default_zone": "the deployment's default: nobody knows better",
}


WAITS: Mapping[InviteNews, str] = {
    "received": "the invitation waits for their answer",
    "reminder": "the invitation waits for their answer, and they were reminded",
    "accepted": "their invitation was accepted",
}


class Step(msgspec.Struct, frozen=True):
    """What is known of one transport. Without an open alert, the snapshot supposes that there is something new."""

    snapshot: Snapshot
    alert: OpenAlert | None
    deliveries: Sequence[Delivery]


def explained(step: Step) -> list[str]:
    """Say what this transport would do now, the gates one by one, and what it did last."""
    decision = decide(step.snapshot)
    lines = [f"{NAMES[step.snapshot.transport]}: {_subject(step)} {_outcome(decision)}"]
    lines += [_line("alert", text) for text in _alert(step.alert)]
    lines += [_line(label, _verdict(gate, said, step.snapshot)) for label, gate, said in ASKED]
    return lines + [_line("delivery", _delivery(delivery)) for delivery in step.deliveries]


def _subject(step: Step) -> str:
    if step.alert is None:
        new = "a new message" if step.snapshot.category == "messages" else "the next word of it"
        return f"no alert is open; of {new} the person"
    return f"of {_part(step.alert.span)} the person"


def _part(span: Span | None) -> str:
    """Name what an alert or a delivery is about. Of an invitation 1 is the first word, and others are reminders."""
    if span is None:
        return "nothing in particular"
    what = "messages" if span.category == "messages" else "news of the invitation"
    return f"{what} {span.from_seq} to {span.to_seq}"


def _outcome(decision: Decision) -> str:
    why = f"({decision.reason}: {MEANING[decision.reason]})"
    if isinstance(decision, Send):
        return f"would be told now {why}"
    if isinstance(decision, Postpone):
        return f"isn't told yet; it is decided again at {rfc3339(decision.until)} {why}"
    return f"is never told {why}"


def _alert(alert: OpenAlert | None) -> list[str]:
    if alert is None:
        return []
    held = "not put off so far" if alert.held_by is None else f"put off last because of {alert.held_by}"
    return [
        f"{alert.message_count} heard of, the first at {rfc3339(alert.begun_at)}",
        f"due at {rfc3339(alert.due_at)}; {held}",
    ]


def _verdict(gate: gates.Gate, said: Callable[[Snapshot], str], s: Snapshot) -> str:
    verdict = gate(s)
    if verdict is None:
        return f"ok: {said(s)}"
    if isinstance(verdict, Postpone):
        return f"waits until {rfc3339(verdict.until)}: {verdict.reason} ({said(s)})"
    return f"stops it: {verdict.reason} ({said(s)})"


def _messages(s: Snapshot) -> str:
    if s.recipient is None or not s.recipient.active:
        return "nobody of this id, or deactivated"
    if s.news != "messages":
        return MEANING[s.ended] if s.ended else WAITS[s.news]
    span = s.span
    if not span.is_participant:
        return "takes no part in the channel, or there is none of this id"
    muted = f", muted until {rfc3339(span.muted_until)}" if span.muted_until is not None else ""
    return f"{span.unread_count} unread, {span.deleted_count} deleted unread{muted}"


def _reach(s: Snapshot) -> str:
    unreachable = gates.unreachable(s, s.transport)
    if unreachable is not None:
        return MEANING[unreachable]
    if gates.reachable(s) is not None:
        return MEANING["reached_otherwise"]
    many = len(s.target.subscriptions)
    return f"{many} subscription(s)" if s.transport == "push" else "has an address, and wants it"


def _zone(s: Snapshot) -> str:
    quiet = s.preferences.quiet_hours
    where = None if quiet is None else gates.whereabouts_of(s, quiet)
    return "unknown" if where is None else _place(where)


def _place(where: Whereabouts) -> str:
    return f"{', '.join(where.zones)} ({SOURCES[where.source]})"


def _presence(s: Snapshot) -> str:
    if not s.attention.online:
        return "not online"
    shown = "; this channel is on the screen" if s.thread_id in s.attention.on_screen else ""
    return f"online, {'and uses a device' if s.attention.active else 'but idle'}{shown}"


def _pause(s: Snapshot) -> str:
    until = s.preferences.paused_until
    return "none" if until is None or until <= s.now else f"paused until {rfc3339(until)}"


def _quiet(s: Snapshot) -> str:
    quiet = s.preferences.quiet_hours
    if quiet is None or quiet.window.is_empty:
        return "none wanted"
    window = f"{quiet.window.start:%H:%M}-{quiet.window.end:%H:%M}"
    where = gates.whereabouts_of(s, quiet)
    if where is None:
        return window
    clocks = ", ".join(f"{s.now.astimezone(ZoneInfo(zone)):%H:%M} in {zone}" for zone in where.zones)
    return f"{window}; it is {clocks}"


def _grace(s: Snapshot) -> str:
    since = s.span.unread_since
    waits = f"waits {s.way.delay_s:g} s"
    return f"{waits} after the news" if since is None else f"{waits}; the first unread is of {rfc3339(since)}"


def _turn(s: Snapshot) -> str:
    return "; ".join(_earlier(s, better) for better in s.earlier) or "goes first"


def _earlier(s: Snapshot, better: Earlier) -> str:
    name, unreachable = NAMES[better.transport], gates.unreachable(s, better.transport)
    if better.progress == "to_come" and unreachable is not None:
        return f"{name} isn't possible ({unreachable})"
    reason = f", {better.reason}" if better.reason else ""
    return {
        "none": f"{name} has nothing to do{reason}"
        if unreachable is None
        else f"{name} isn't possible ({unreachable})",
        "to_come": f"{name} is due{_at(better.at)}{reason}",
        "sending": f"{name} is being sent",
        "accepted": f"{name} was accepted{_at(better.at)}",
        "unknown": f"nobody knows what became of {name}{reason}",
        "failed": f"{name} failed{reason}",
    }[better.progress]


def _at(moment: datetime | None) -> str:
    return "" if moment is None else f" at {rfc3339(moment)}"


def _transport(s: Snapshot) -> str:
    until = s.way.held_until
    if until is not None and until > s.now:
        return f"held back until {rfc3339(until)}"
    return "free" if s.way.on else "not set up"


def _delivery(delivery: Delivery) -> str:
    reason = f" ({delivery.reason})" if delivery.reason else ""
    return f"{_part(delivery.span)}: {delivery.state}{reason} at {rfc3339(delivery.updated_at)}, {delivery.id}"


def _line(label: str, text: str) -> str:
    return f"  {label:{LABEL}}{text}"


ASKED: tuple[tuple[str, gates.Gate, Callable[[Snapshot], str]], ...] = (
    ("news", gates.concerned, _messages),
    ("reach", gates.reachable, _reach),
    ("time zone", gates.somewhere, _zone),
    ("presence", gates.looking, _presence),
    ("pause", gates.paused, _pause),
    ("quiet hours", gates.quiet, _quiet),
    ("grace", gates.grace, _grace),
    ("turn", gates.turn, _turn),
    ("transport", gates.free, _transport),
)
"""The gates in the order of the decision."""
