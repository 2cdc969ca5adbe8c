"""What must be true of a week, checked against what was true at each moment of it: naively, and without the rules."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from modules.notifications.domain.alerts import OpenAlert
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.outcomes import Accepted, Ambiguous
from tests.simulation_alerts.life import Text
from tests.simulation_alerts.plan import TRANSPORTS
from tests.simulation_alerts.providers import Call
from tests.simulation_alerts.week import Week

DELAYS_S = {"push": 20, "sms": 120, "email": 1800}
SLACK_S = 300
"""A minute until somebody who is there is asked about again, retries, leases, and steps of the clock."""
AFTERMATH = timedelta(minutes=30)
"""For how long nothing is promised after a provider was in trouble or a process crashed."""
MINUTE = timedelta(minutes=1)


class Verdict:
    """Everything that is wrong with a week."""

    def __init__(self, week: Week, ledger: Sequence[Delivery], still_open: Sequence[OpenAlert]) -> None:
        self.week, self.life, self.calls = week, week.life, week.calls
        self.rows = {delivery.id: delivery for delivery in ledger}
        self.open = {(a.span.user_id, a.span.channel_id, a.transport): a for a in still_open}
        self.homes = {someone.user_id: someone.homes for someone in week.plan.people}
        self.covering: dict[tuple[str, UUID, str], list[Delivery]] = defaultdict(list)
        for delivery in ledger:
            assert delivery.span is not None
            self.covering[delivery.user_id, delivery.span.channel_id, delivery.transport].append(delivery)
        self.calls_of: dict[UUID, list[Call]] = defaultdict(list)
        for call in self.calls:
            self.calls_of[call.delivery_id].append(call)

    def faults(self) -> list[str]:
        """Return all that is wrong."""
        checks: tuple[Callable[[], Iterator[str]], ...] = (
            self.disturbing,
            self.twice,
            self.out_of_turn,
            self.without_reason,
            self.late,
        )
        return [fault for check in checks for fault in check()]

    def disturbing(self) -> Iterator[str]:
        """Calls that should not have been made at that moment."""
        for call in self.calls:
            row = self.rows.get(call.delivery_id)
            if row is None:
                yield f"{told(call)}: isn't in the ledger"
                continue
            arrival = call.at + timedelta(seconds=call.validity_s - 1)
            if any(self._quiet(call.user_id, moment, wanted_at=call.at) for moment in (call.at, arrival)):
                yield f"{told(call)}: it is quiet there"
            if not self._unread(row, call.at):
                yield f"{told(call)}: nothing of it is unread"
            for why in self._not_to_be_disturbed(call.user_id, call.channel_id, call.transport, call.at):
                yield f"{told(call)}: {why}"

    def twice(self) -> Iterator[str]:
        """Messages that a person may have been told of twice by one transport, and ranges that overlap or have gaps."""
        for (user, channel, transport), rows in self.covering.items():
            ends = [0, *sorted(row.to_seq or 0 for row in rows)]
            begins = sorted(row.from_seq or 0 for row in rows)
            if begins != [end + 1 for end in ends[:-1]]:
                yield f"{transport} to {user} in {channel}: ranges overlap, or leave something out"
            told_of: dict[int, int] = defaultdict(int)
            for row in rows:
                heard = [c for c in self.calls_of[row.id] if c.taken or isinstance(c.outcome, Accepted | Ambiguous)]
                for seq in range(row.from_seq or 0, (row.to_seq or 0) + 1):
                    told_of[seq] += len(heard)
            for seq, times in told_of.items():
                if times > 1:
                    yield f"{transport} to {user} in {channel}: told of {seq} {times} times"

    def out_of_turn(self) -> Iterator[str]:
        """Calls of a transport while a better one was possible and had not had its time."""
        for call in self.calls:
            row = self.rows.get(call.delivery_id)
            unread = [] if row is None else self._unread(row, call.at)
            for better in TRANSPORTS[: TRANSPORTS.index(call.transport)]:
                if unread and self._jumps(call, better, unread[0].seq):
                    yield f"{told(call)}: {better} was to go first with {unread[0].seq}"

    def without_reason(self) -> Iterator[str]:
        """Rows that weren't sent for a reason that wasn't true."""
        for row in self.rows.values():
            if row.state == "suppressed" and not self._holds(row):
                yield f"{row.transport} to {row.user_id}: not so at {row.updated_at}: {row.reason}"

    def late(self) -> Iterator[str]:
        """Messages that stayed unread, of which a transport has come to no end though nothing stood in its way."""
        for channel, texts in self.life.texts.items():
            for text in texts:
                for user in text.recipients:
                    for transport in TRANSPORTS:
                        at = self._overdue(user, channel, text, transport)
                        if at is not None:
                            yield f"{transport} to {user} in {channel}: {text.seq} of {text.at} was due by {at}"

    def _overdue(self, user: str, channel: UUID, text: Text, transport: str) -> datetime | None:
        concluded = self._concluded(user, channel, transport, text.seq)
        promised = timedelta(seconds=DELAYS_S[transport] + SLACK_S)
        since, moment = None, text.at
        while moment < self.week.end:
            if concluded is not None and concluded <= moment:
                return None
            if not self._is_unread(user, channel, text, moment):
                return None
            if self._in_the_way(user, transport, moment) or not self._to_be_told(user, transport, text, moment):
                since = None
            else:
                since = since or moment
                if moment - since > promised:
                    return since + promised
            moment += MINUTE
        return None

    def _concluded(self, user: str, channel: UUID, transport: str, seq: int) -> datetime | None:
        """When a transport called for a message, or it was settled that it won't."""
        row = self._row(user, channel, transport, seq)
        if row is None:
            return None
        calls = self.calls_of[row.id]
        if calls:
            return calls[0].at
        return row.updated_at if row.state == "suppressed" else None

    def _to_be_told(self, user: str, transport: str, text: Text, at: datetime) -> bool:
        """Whether a message had to begin an alert: of push only where there was a browser from the first moment on."""
        browsers = self.life.subscribed[user]
        moments = [text.at, *(moment for moment in browsers.times if text.at < moment <= at)]
        return transport != "push" or all(browsers.at(moment) for moment in moments)

    def _in_the_way(self, user: str, transport: str, at: datetime) -> bool:
        trouble = any(self._troubled(name, at) for name in TRANSPORTS[: TRANSPORTS.index(transport) + 1]) or any(
            crash <= at <= crash + AFTERMATH for crash in self.week.crashes
        )
        attention = self.life.attention_of[user].at(at)
        paused = self.life.preferences[user].at(at).paused_until
        minute = at.replace(second=0, microsecond=0)
        return (
            trouble
            or (attention.online and attention.active)
            or (paused is not None and paused > at)
            or self._quiet(user, minute)
            or self._quiet(user, minute + MINUTE)
            or self._quiet(user, minute + 2 * MINUTE)
        )

    def _jumps(self, call: Call, better: str, seq: int) -> bool:
        if self._unreachable(call.user_id, better, call.at) or self._troubled(better, call.at):
            return False
        row = self._row(call.user_id, call.channel_id, better, seq)
        text = self.life.texts[call.channel_id][seq - 1]
        if row is None:
            return self._to_be_told(call.user_id, better, text, call.at)
        calls = [earlier for earlier in self.calls_of[row.id] if earlier.at <= call.at]
        if not calls:
            return row.state not in {"suppressed", "dead", "unknown"} or row.updated_at > call.at
        lead = timedelta(seconds=DELAYS_S[call.transport] - DELAYS_S[better] - 1)
        return isinstance(calls[-1].outcome, Accepted) and row.state == "accepted" and call.at - calls[-1].at < lead

    def _holds(self, row: Delivery) -> bool:
        at, user, channel = row.updated_at, row.user_id, row.thread_id
        assert channel is not None
        unread = self._unread(row, at)
        muted = self.life.muted[user, channel].at(at)
        told_later = [
            call
            for call in self.calls
            if (call.user_id, call.channel_id) == (user, channel)
            and call.at < at
            and TRANSPORTS.index(call.transport) > TRANSPORTS.index(row.transport)
        ]
        person = self.life.people[user]
        reasons: Mapping[str, bool] = {
            "deactivated": not self.life.active[user].at(at),
            "not_participant": not self.life.member[user, channel].at(at),
            "read": not unread,
            "deleted": not unread,
            "muted": muted is not None and muted > at,
            "preferences": self._switched_off(user, row.transport, at),
            "no_subscription": row.transport == "push" and not self.life.subscribed[user].at(at),
            "no_address": {"sms": person.phone, "email": person.email}.get(row.transport) is None,
            "reached_otherwise": bool(told_later),
        }
        return reasons.get(row.reason or "", False)

    def _not_to_be_disturbed(self, user: str, channel: UUID, transport: str, at: datetime) -> Iterator[str]:
        attention, muted = self.life.attention_of[user].at(at), self.life.muted[user, channel].at(at)
        paused = self.life.preferences[user].at(at).paused_until
        if attention.online and attention.active:
            yield "they are at a device"
        if paused is not None and paused > at:
            yield "they have paused"
        if muted is not None and muted > at:
            yield "they have muted it"
        if not self.life.active[user].at(at) or not self.life.member[user, channel].at(at):
            yield "they are gone"
        if self._unreachable(user, transport, at) and transport != "push":
            yield "they don't want it, or can't get it"

    def _unreachable(self, user: str, transport: str, at: datetime) -> bool:
        person = self.life.people[user]
        there = {"sms": person.phone, "email": person.email, "push": self.life.subscribed[user].at(at)}[transport]
        return not there or self._switched_off(user, transport, at)

    def _switched_off(self, user: str, transport: str, at: datetime) -> bool:
        chosen = self.life.preferences[user].at(at)
        return not (getattr(chosen.channels, transport) and chosen.categories.messages)

    def _troubled(self, transport: str, at: datetime) -> bool:
        track = self.week.trouble[transport]
        return track.at(at) or any(at - AFTERMATH <= change <= at for change in track.times)

    def _quiet(self, user: str, at: datetime, wanted_at: datetime | None = None) -> bool:
        quiet = self.life.preferences[user].at(wanted_at or at).quiet_hours
        if quiet is None:
            return False
        start, end = (60 * one.hour + one.minute for one in (quiet.window.start, quiet.window.end))
        walls = [at.astimezone(ZoneInfo(zone)) for zone in ([quiet.time_zone] if quiet.time_zone else self.homes[user])]
        return any((60 * wall.hour + wall.minute - start) % 1440 < (end - start) % 1440 for wall in walls)

    def _unread(self, row: Delivery, at: datetime) -> list[Text]:
        assert row.span is not None
        texts = self.life.texts[row.span.channel_id][row.span.from_seq - 1 : row.span.to_seq]
        return [text for text in texts if self._is_unread(row.user_id, row.span.channel_id, text, at)]

    def _is_unread(self, user: str, channel: UUID, text: Text, at: datetime) -> bool:
        deleted = text.deleted_at is not None and text.deleted_at <= at
        return user in text.recipients and not deleted and text.seq > self.life.read[user, channel].at(at)

    def _row(self, user: str, channel: UUID, transport: str, seq: int) -> Delivery | None:
        rows = self.covering[user, channel, transport]
        return next((row for row in rows if (row.from_seq or 0) <= seq <= (row.to_seq or 0)), None)


def told(call: Call) -> str:
    """Name a call."""
    return f"{call.transport} to {call.user_id} in {call.channel_id} at {call.at}"


async def faults_of(week: Week) -> list[str]:
    """Let a week happen, and return all that is wrong with it."""
    await week.run()
    return Verdict(week, await week.ledger(), await week.open_alerts()).faults()
