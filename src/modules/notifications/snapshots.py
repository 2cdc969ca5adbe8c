"""Gathers what a decision depends on. Holds no connection while it asks other modules: they need one themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from kernel.clock import Clock
from kernel.database import Connection, Database
from modules.notifications.admission import METERED, Admission
from modules.notifications.domain.addresses import Subscription, Target
from modules.notifications.domain.ladder import LADDER, Earlier, better_than, worse_than
from modules.notifications.domain.preferences import Preferences
from modules.notifications.domain.reasons import NotNow
from modules.notifications.domain.snapshot import Snapshot, Standing, Way
from modules.notifications.matters import Matter, Matters
from modules.notifications.ports import Presence, Recipient, Recipients, Span
from modules.notifications.store import circuits, ladder, people
from modules.notifications.subscriptions import PushSubscriptions
from realtime.attention import Attention

Step = tuple[Span, str]
"""A span and the transport that is decided on."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the deployment has settled. `delays_s`: of the transports that are on."""

    delays_s: Mapping[str, float]
    defaults: Preferences
    default_zone: str | None = None
    recheck_s: float = 60
    away_after_s: float = 300


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the module's own tables say about the people and threads that are asked for."""

    preferences: Mapping[str, Preferences]
    standings: Mapping[people.Address, Standing]
    subscriptions: Mapping[str, tuple[Subscription, ...]]
    paused: Mapping[str, datetime]
    capped: Mapping[str, tuple[datetime, NotNow]]
    """Telephone numbers that have cost enough for now."""
    first: Sequence[Mapping[str, Earlier]]
    """How far each transport has come with the first of it that is unread, in the order asked."""
    last: Sequence[Mapping[str, Earlier]]
    """And with the newest."""


class Snapshots:
    """Takes snapshots of many spans with one question to each source."""

    def __init__(
        self,
        *,
        database: Database,
        matters: Matters,
        presence: Presence,
        recipients: Recipients,
        subscriptions: PushSubscriptions,
        admission: Admission,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._matters = matters
        self._presence = presence
        self._recipients = recipients
        self._subscriptions = subscriptions
        self._admission = admission
        self._policy = policy
        self._clock = clock

    async def take(self, steps: Sequence[Step]) -> list[Snapshot]:
        """Return a snapshot of each step, in the order asked."""
        spans = [span for span, _ in steps]
        user_ids = {span.user_id for span in spans}
        matters = await self._matters.of(spans)
        attention = await self._presence.attention(user_ids)
        recipients = await self._recipients.find(user_ids)
        now = self._clock()
        async with self._database.connection() as connection:
            known = await self._known(connection, now, recipients, list(zip(spans, matters, strict=True)))
        return [
            self._snapshot(i, step, matter, known, recipients.get(step[0].user_id), now, attention)
            for i, (step, matter) in enumerate(zip(steps, matters, strict=True))
        ]

    async def _known(
        self,
        connection: Connection,
        now: datetime,
        recipients: Mapping[str, Recipient],
        spans: Sequence[tuple[Span, Matter]],
    ) -> Known:
        addresses = {address for who in recipients.values() for address in _addresses(who)}
        first = [(span.user_id, span.thread_id, what.state.unread_from_seq or span.from_seq) for span, what in spans]
        last = [(span.user_id, span.thread_id, span.to_seq) for span, _ in spans]
        progress = await ladder.progress(connection, first + last)
        return Known(
            preferences=await people.preferences_of(connection, recipients.keys()),
            standings=await people.standings_of(connection, addresses),
            subscriptions=await self._subscriptions.of(connection, recipients.keys()),
            paused=await circuits.paused(connection, now),
            capped=await self._admission.capped(connection, {number for way, number in addresses if way == METERED}),
            first=progress[: len(spans)],
            last=progress[len(spans) :],
        )

    def _snapshot(
        self,
        i: int,
        step: Step,
        matter: Matter,
        known: Known,
        recipient: Recipient | None,
        now: datetime,
        attention: Mapping[str, Attention],
    ) -> Snapshot:
        span, transport = step
        target = _target(recipient, known.subscriptions.get(span.user_id, ()))
        return Snapshot(
            now=now,
            transport=transport,
            thread_id=span.thread_id,
            span=matter.state,
            news=matter.news,
            ended=matter.ended,
            attention=attention.get(span.user_id, Attention()),
            recipient=recipient,
            target=target,
            preferences=known.preferences.get(span.user_id, self._policy.defaults),
            ways={name: self._way(name, target, known) for name in LADDER},
            earlier=tuple(known.first[i][better] for better in better_than(transport)),
            overtaken=any(known.last[i][worse].may_have_told for worse in worse_than(transport)),
            default_zone=self._policy.default_zone,
            recheck_s=self._policy.recheck_s,
            away_after_s=self._policy.away_after_s,
        )

    def _way(self, name: str, target: Target, known: Known) -> Way:
        address = target.address(name)
        delays_s = self._policy.delays_s
        held_until, held_by = _held(name, address, known)
        return Way(
            on=name in delays_s,
            delay_s=delays_s.get(name, 0),
            standing=Standing() if address is None else known.standings.get((name, address), Standing()),
            held_until=held_until,
            held_by=held_by,
        )


def _held(name: str, address: str | None, known: Known) -> tuple[datetime | None, NotNow]:
    """Return until when a transport can't be used for this person, and why: the longer of the reasons."""
    capped = known.capped.get(address or "") if name == METERED else None
    paused = known.paused.get(name)
    if capped is None or (paused is not None and paused >= capped[0]):
        return paused, "on_hold"
    return capped


def _target(recipient: Recipient | None, subscriptions: tuple[Subscription, ...]) -> Target:
    if recipient is None:
        return Target()
    return Target(phone=recipient.phone, email=recipient.email, subscriptions=subscriptions)


def _addresses(recipient: Recipient) -> list[people.Address]:
    target = _target(recipient, ())
    return [(name, address) for name in LADDER if (address := target.address(name)) is not None]
