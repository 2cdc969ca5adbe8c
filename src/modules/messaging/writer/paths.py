"""The two ways to write a batch.

The short way is one statement. It builds on what this process last knew of the channels, and PostgreSQL checks, under
the row locks, that their heads are still those: then membership, status and all else are, too (see `Channel`). It
serves texts only.

The sure way is a transaction: lock the channels, read what they are, look for repeats, decide, write. It serves
whatever the short way can't: channels not known yet, contexts without one, refusals (which the short way could base
on stale knowledge), repeats, and changes of messages.
"""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec
from msgspec.structs import replace

from bus import Bus, Event, outbox
from kernel.clock import now
from kernel.database import Database, Transaction
from kernel.errors import ParleyError
from modules.messaging.fold import Folded
from modules.messaging.log import append
from modules.messaging.log.record import Record
from modules.messaging.store import marks, messages
from modules.messaging.writer import queries
from modules.messaging.writer.channel import Channel, Memory
from modules.messaging.writer.judge import Known, judge
from modules.messaging.writer.opening import Opened, open_channels
from modules.messaging.writer.reports import event_of
from modules.messaging.writer.send import Announcer, Change, ContextKey, Outcome, Request, Send, Stored


class Written(msgspec.Struct, frozen=True):
    """What became of a batch, in order, and the events to release."""

    outcomes: Sequence[Outcome]
    events: Sequence[Event]


Release = Callable[[Written], None]
"""Called in the very step in which a commit is heard of. Who appends to the same channels next has several round trips
to go until then, so announcements keep to the log's order. Must not raise."""


class Paths:
    """Writes batches, remembering channels from one to the next."""

    def __init__(self, database: Database, bus: Bus, announcer: Announcer) -> None:
        self._database = database
        self._bus = bus
        self._announcer = announcer
        self._memory = Memory()

    async def write(self, requests: Sequence[Request], release: Release) -> None:
        """Write a batch, the short way if possible, and release it.

        Raises:
            UnavailableError: PostgreSQL is away; whether the batch was committed may be unknown.
        """
        if not await self._short(requests, release):
            await self._sure(requests, release)

    async def _short(self, requests: Sequence[Request], release: Release) -> bool:
        targets = [self._memory.channel_of(r.target) if isinstance(r, Send) else None for r in requests]
        ids = set(targets)
        channels = None if None in ids else self._memory.recall({target for target in ids if target})
        if channels is None:
            return False
        before = [channel.head.head_hash for channel in channels.values()]
        outcomes = judge(Known(channels), targets, requests, now())
        records = _appended(outcomes)
        if len(records) < len(requests):
            return False
        events = _events(outcomes, channels)
        try:
            async with self._database.connection(reserved=True) as connection:
                await append.insert_texts_expecting(connection, records, before, self._bus.stage(events))
                self._memory.learn(channels)
                release(Written(outcomes, events))
        except append.HeadMovedError:
            return False
        return True

    async def _sure(self, requests: Sequence[Request], release: Release) -> None:
        async with self._database.transaction(reserved=True) as tx:
            targets, (found, refused) = await self._resolve(tx, requests)
            channels = await self._lock(tx, {target for target in targets if target})
            known = await self._know(tx, channels, targets, requests)
            self._memory.forget(channels)
            judged = judge(known, targets, requests, now())
            decided = [
                refused.get(request, outcome) if isinstance(request, Send) else outcome
                for request, outcome in zip(requests, judged, strict=True)
            ]
            outcomes = await self._with_status(tx, requests, decided)
            events = _events(outcomes, channels)
            await self._insert(tx, outcomes, channels, events)
            tx.after_commit(partial(self._memory.learn_contexts, found))
            tx.after_commit(partial(self._memory.learn, channels))
            tx.after_commit(partial(release, Written(outcomes, events)))

    async def _resolve(self, tx: Transaction, requests: Sequence[Request]) -> tuple[list[UUID | None], Opened]:
        """Find each request's channel, making those of contexts that get their first message."""
        sends = [request for request in requests if isinstance(request, Send)]
        asked = {send.target for send in sends if isinstance(send.target, ContextKey)}
        unknown = {key for key in asked if self._memory.channel_of(key) is None}
        found = await queries.channels_of(tx.connection, unknown) if unknown else {}
        first = [send for send in sends if send.target in unknown and send.target not in found]
        opened = await open_channels(tx, first, self._announcer) if first else Opened({}, {})
        found |= opened.channels
        changed = {request.message_id for request in requests if isinstance(request, Change)}
        homes = await messages.channels_of(tx.connection, changed) if changed else {}
        homed = [self._home(request, found, homes) for request in requests]
        return homed, Opened(found, opened.refused)

    def _home(self, request: Request, found: dict[ContextKey, UUID], homes: dict[UUID, UUID]) -> UUID | None:
        if isinstance(request, Change):
            return homes.get(request.message_id)
        known = found.get(request.target) if isinstance(request.target, ContextKey) else None
        return known or self._memory.channel_of(request.target)

    async def _lock(self, tx: Transaction, ids: set[UUID]) -> dict[UUID, Channel]:
        channels = await queries.lock(tx.connection, ids)
        self._memory.compare(channels)
        for channel_id, channel in channels.items():
            channel.members = self._memory.members(channel_id, channel.head.membership_seq) or {}
        strange = [channel_id for channel_id, channel in channels.items() if not channel.members]
        if strange:
            for channel_id, members in (await queries.members(tx.connection, strange)).items():
                channels[channel_id].members = members
        return channels

    async def _know(
        self,
        tx: Transaction,
        channels: dict[UUID, Channel],
        targets: Sequence[UUID | None],
        requests: Sequence[Request],
    ) -> Known:
        """Read what was there before, under the locks: repeats, and the messages concerned."""
        keys = [
            (target, request.sender.user_id, request.client_id)
            for target, request in zip(targets, requests, strict=True)
            if target in channels and request.client_id is not None
        ]
        repeats = await queries.repeats(tx.connection, keys) if keys else {}
        concerned = {record.id for record in repeats.values() if record.kind == "text"}
        concerned |= {request.message_id for request in requests if isinstance(request, Change)}
        texts = await messages.texts(tx.connection, concerned) if concerned else {}
        return Known(channels, repeats, texts)

    async def _with_status(
        self, tx: Transaction, requests: Sequence[Request], outcomes: Sequence[Outcome]
    ) -> Sequence[Outcome]:
        """Add how far others have come to what is said of somebody's own message from before."""
        places = [_own_place(request, outcome) for request, outcome in zip(requests, outcomes, strict=True)]
        wanted = {place for place in places if place is not None}
        if not wanted:
            return outcomes
        reached = await marks.others_of(tx.connection, wanted)
        return [
            replace(outcome, others=reached[place]) if place and not isinstance(outcome, ParleyError) else outcome
            for outcome, place in zip(outcomes, places, strict=True)
        ]

    async def _insert(
        self, tx: Transaction, outcomes: Sequence[Outcome], channels: dict[UUID, Channel], events: Sequence[Event]
    ) -> None:
        records = _appended(outcomes)
        if records:
            touched = dict.fromkeys(record.channel_id for record in records)
            await append.insert(tx.connection, records, [channels[channel_id].head for channel_id in touched])
        changed = _changed(outcomes)
        if changed:
            await messages.save(tx.connection, changed)
        if events:
            await tx.connection.execute(outbox.STAGE, *self._bus.stage(events))


def _own_place(request: Request, outcome: Outcome) -> tuple[UUID, str] | None:
    """Return whose marks don't count where, if the outcome is about a message of the asker's from before."""
    text = _text_from_before(outcome)
    asker = request.sender.user_id
    return (text.channel_id, asker) if text is not None and text.sender_id == asker else None


def _text_from_before(outcome: Outcome) -> Record | None:
    if isinstance(outcome, ParleyError):
        return None
    if outcome.folded is not None:
        return outcome.folded.record
    return outcome.record if outcome.repeated else None


def _appended(outcomes: Sequence[Outcome]) -> list[Record]:
    return [outcome.record for outcome in outcomes if isinstance(outcome, Stored) and not outcome.repeated]


def _changed(outcomes: Sequence[Outcome]) -> list[Folded]:
    """Return the messages that changed, each as its last change left it."""
    last = {
        outcome.folded.record.id: outcome.folded
        for outcome in outcomes
        if isinstance(outcome, Stored) and outcome.folded is not None and not outcome.repeated
    }
    return list(last.values())


def _events(outcomes: Sequence[Outcome], channels: dict[UUID, Channel]) -> list[Event]:
    reported = [
        event_of(outcome.record, outcome.folded, channels[outcome.record.channel_id])
        for outcome in outcomes
        if isinstance(outcome, Stored) and not outcome.repeated
    ]
    return [event for event in reported if event is not None]
