"""The two ways to write a batch.

The short way is one statement. It builds on what this process last knew of the channels, and PostgreSQL checks, under
the row locks, that their heads are still those: then membership, status and all else are, too (see `Channel`).

The sure way is a transaction: lock the channels, read what they are, look for repeats, decide, write. It serves
whatever the short way can't: channels not known yet, contexts without one, refusals (which the short way could base
on stale knowledge) and repeats.
"""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec

from bus import Bus, outbox
from kernel.clock import now
from kernel.database import Database, Transaction
from modules.messaging.domain import preview
from modules.messaging.events import MessageCreated
from modules.messaging.log import append
from modules.messaging.log.record import Record
from modules.messaging.writer import queries
from modules.messaging.writer.channel import Channel, Memory
from modules.messaging.writer.judge import judge
from modules.messaging.writer.opening import Opened, open_channels
from modules.messaging.writer.send import Announcer, ContextKey, Outcome, Send, Stored


class Written(msgspec.Struct, frozen=True):
    """What became of a batch, in order, and the events to release."""

    outcomes: Sequence[Outcome]
    events: Sequence[MessageCreated]


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

    async def write(self, sends: Sequence[Send], release: Release) -> None:
        """Write a batch, the short way if possible, and release it.

        Raises:
            UnavailableError: PostgreSQL is away; whether the batch was committed may be unknown.
        """
        if not await self._short(sends, release):
            await self._sure(sends, release)

    async def _short(self, sends: Sequence[Send], release: Release) -> bool:
        targets = [self._memory.channel_of(send.target) for send in sends]
        ids = set(targets)
        channels = None if None in ids else self._memory.recall({target for target in ids if target})
        if channels is None:
            return False
        before = [channel.head.head_hash for channel in channels.values()]
        outcomes = judge(channels, {}, targets, sends, now())
        records = [o.record for o in outcomes if isinstance(o, Stored) and not o.repeated]
        if len(records) < len(sends):
            return False
        self._memory.forget(channels)
        events = [_event(record, channels[record.channel_id]) for record in records]
        try:
            async with self._database.connection(reserved=True) as connection:
                await append.insert_texts_expecting(connection, records, before, self._bus.stage(events))
                self._memory.learn(channels)
                release(Written(outcomes, events))
        except append.HeadMovedError:
            return False
        return True

    async def _sure(self, sends: Sequence[Send], release: Release) -> None:
        async with self._database.transaction(reserved=True) as tx:
            targets, (found, refused) = await self._resolve(tx, sends)
            channels = await self._lock(tx, {target for target in targets if target})
            keys = [(t, s.sender.user_id, s.client_id) for t, s in zip(targets, sends, strict=True) if t in channels]
            repeats = await queries.repeats(tx.connection, keys) if keys else {}
            self._memory.forget(channels)
            judged = judge(channels, repeats, targets, sends, now())
            outcomes = [refused.get(send, outcome) for send, outcome in zip(sends, judged, strict=True)]
            records = [o.record for o in outcomes if isinstance(o, Stored) and not o.repeated]
            events = [_event(record, channels[record.channel_id]) for record in records]
            await self._insert(tx, records, channels, events)
            tx.after_commit(partial(self._memory.learn_contexts, found))
            tx.after_commit(partial(self._memory.learn, channels))
            tx.after_commit(partial(release, Written(outcomes, events)))

    async def _resolve(self, tx: Transaction, sends: Sequence[Send]) -> tuple[list[UUID | None], Opened]:
        """Find each send's channel, making those of contexts that get their first message."""
        asked = {send.target for send in sends if isinstance(send.target, ContextKey)}
        unknown = {key for key in asked if self._memory.channel_of(key) is None}
        found = await queries.channels_of(tx.connection, unknown) if unknown else {}
        first = [send for send in sends if send.target in unknown and send.target not in found]
        opened = await open_channels(tx, first, self._announcer) if first else Opened({}, {})
        found |= opened.channels
        targets = [_known(found, send.target) or self._memory.channel_of(send.target) for send in sends]
        return targets, Opened(found, opened.refused)

    async def _lock(self, tx: Transaction, ids: set[UUID]) -> dict[UUID, Channel]:
        channels = await queries.lock(tx.connection, ids)
        for channel_id, channel in channels.items():
            channel.members = self._memory.members(channel_id, channel.head.membership_seq) or {}
        strange = [channel_id for channel_id, channel in channels.items() if not channel.members]
        if strange:
            for channel_id, members in (await queries.members(tx.connection, strange)).items():
                channels[channel_id].members = members
        return channels

    async def _insert(
        self,
        tx: Transaction,
        records: Sequence[Record],
        channels: dict[UUID, Channel],
        events: Sequence[MessageCreated],
    ) -> None:
        if records:
            touched = dict.fromkeys(record.channel_id for record in records)
            await append.insert(tx.connection, records, [channels[channel_id].head for channel_id in touched])
            await tx.connection.execute(outbox.STAGE, *self._bus.stage(events))


def _event(record: Record, channel: Channel) -> MessageCreated:
    return MessageCreated(
        channel_id=record.channel_id,
        event_id=record.id,
        message_id=record.id,
        seq=record.seq,
        sender_id=record.sender_id or "",
        sender_name=record.sender_display_name or "",
        recipient_ids=[user for user in channel.members if user != record.sender_id],
        message_preview=preview(record.content or ""),
        context_type=channel.context_type,
        context_id=channel.context_id,
    )


def _known(found: dict[ContextKey, UUID], target: UUID | ContextKey) -> UUID | None:
    return found.get(target) if isinstance(target, ContextKey) else None
