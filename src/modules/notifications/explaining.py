"""Answers what would happen now to a person's alerts of a channel or an invitation, and why. Changes nothing."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kernel.clock import Clock, rfc3339
from kernel.database import Database
from modules.notifications.domain.explanation import Step, explained
from modules.notifications.domain.ladder import LADDER, Earlier
from modules.notifications.domain.snapshot import Snapshot
from modules.notifications.ports import Category, Span, SpanState
from modules.notifications.snapshots import Snapshots
from modules.notifications.store import alerts, deliveries

LAST = 3


class SupposedSpan(msgspec.Struct, frozen=True):
    """One new message, or one more word of an invitation, that has waited for as long as it takes."""

    is_participant: bool
    muted_until: datetime | None
    unread_from_seq: int
    unread_since: datetime
    unread_count: int = 1
    deleted_count: int = 0
    sender_names: tuple[str, ...] = ()


class Explaining:
    """Takes the snapshots that the workers would take now, and says what they come to."""

    def __init__(self, database: Database, snapshots: Snapshots, clock: Clock) -> None:
        self._database = database
        self._snapshots = snapshots
        self._clock = clock

    async def lines(self, user_id: str, thread_id: UUID, category: Category = "messages") -> list[str]:
        """Return the explanation, transport by transport. `thread_id`: a channel's, or an invitation's."""
        async with self._database.connection() as connection:
            everything = await alerts.open_of(connection, user_id)
            last = {name: await deliveries.last_of(connection, user_id, thread_id, name, LAST) for name in LADDER}
        found = {alert.transport: alert for alert in everything if alert.span.thread_id == thread_id}
        new = {name: 1 + max((d.to_seq or 0 for d in last[name]), default=0) for name in LADDER}
        spans = [
            found[name].span if name in found else Span(user_id, thread_id, new[name], new[name], category)
            for name in LADDER
        ]
        snapshots = await self._snapshots.take(list(zip(spans, LADDER, strict=True)))
        where = "in channel" if category == "messages" else "and invitation"
        lines = [f"{user_id} {where} {thread_id}, at {rfc3339(self._clock())}"]
        for span, snapshot in zip(spans, snapshots, strict=True):
            alert = found.get(snapshot.transport)
            supposed = snapshot if alert is not None else _supposed(snapshot, span)
            lines += ["", *explained(Step(supposed, alert, last[snapshot.transport]))]
        return lines


def _supposed(snapshot: Snapshot, span: Span) -> Snapshot:
    real: SpanState = snapshot.span
    since = snapshot.now - timedelta(seconds=snapshot.way.delay_s)
    names = real.sender_names
    message = SupposedSpan(real.is_participant, real.muted_until, span.from_seq, since, sender_names=names)
    untouched = tuple(Earlier(better.transport) for better in snapshot.earlier)
    return msgspec.structs.replace(snapshot, span=message, earlier=untouched, overtaken=False)
