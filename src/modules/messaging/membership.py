"""Changing who takes part in a channel, and whether it is open: each change becomes a record of its log.

Overview: whoever changes a channel holds it first, decides on what it is then, and amends it. Contexts, which are kept
as their hosts want them, and groups, which their admins change, differ in how they decide only.

Concurrency: holding a channel locks its row, as the writer does; a transaction that holds several takes them in the
order of their ids.

Guarantees:
- Records, rows of participants and events commit together, and are announced after the commit.
- Whatever changes in `Channel` appends a record: the writer's memory of a channel is true as long as its head is.
- Who comes back gets their row back, with their marks.
"""

from collections.abc import Sequence
from uuid import UUID

from bus import Bus, Event
from kernel.clock import now
from kernel.database import Transaction
from modules.messaging.domain import MembershipChange
from modules.messaging.events import ParticipantJoined, ParticipantLeft
from modules.messaging.log import append
from modules.messaging.log.record import Draft, Record
from modules.messaging.store import members
from modules.messaging.writer import Announcer, queries
from modules.messaging.writer.channel import Channel

SET_STATUS = "UPDATE chat_channels SET status = $2 WHERE id = $1"


class Membership:
    """Amends channels."""

    def __init__(self, bus: Bus, announcer: Announcer) -> None:
        self._bus = bus
        self._announcer = announcer

    async def hold(self, tx: Transaction, channel_id: UUID) -> Channel | None:
        """Lock a channel and read what it is, its members in the order in which they joined; None: there is none."""
        channel = (await queries.lock(tx.connection, [channel_id])).get(channel_id)
        if channel is not None:
            channel.members = await members.by_standing(tx.connection, channel_id)
        return channel

    async def amend(
        self,
        tx: Transaction,
        channel: Channel,
        changes: Sequence[MembershipChange] = (),
        *,
        status: str | None = None,
        by: str | None = None,
    ) -> None:
        """Append what changes to a held channel, which knows its head but not its members afterwards.

        Args:
            tx: the transaction that holds it.
            channel: as it was held.
            changes: of who takes part; each is one.
            status: `active` or `archived`; None, or what it is: nothing changes.
            by: whose request it is; None: the host's.
        """
        drafts = [_draft(change, by) for change in changes]
        if status not in {None, channel.status}:
            drafts.append(Draft("channel_archived" if status == "archived" else "channel_reopened", details=_by(by)))
            await tx.connection.execute(SET_STATUS, channel.head.channel_id, status)
        if not drafts:
            return
        at = now()
        records = [append.extend(channel.head, draft, at) for draft in drafts]
        await append.insert(tx.connection, records, [channel.head])
        await members.place(tx.connection, changes, records[: len(changes)])
        await self._bus.publish(tx, *_events(records))
        tx.after_commit(lambda: self._announce(records))

    def _announce(self, records: Sequence[Record]) -> None:
        for record in records:
            self._announcer.announce(record)


def _draft(change: MembershipChange, by: str | None) -> Draft:
    role = {} if change.role is None else {"role": change.role}
    return Draft(change.kind, details={"user_id": change.user_id} | role | (_by(by) or {}))


def _by(by: str | None) -> dict[str, str] | None:
    return None if by is None else {"by": by}


def _events(records: Sequence[Record]) -> list[Event]:
    events: list[Event] = []
    for record in records:
        details = record.details or {}
        if record.kind == "participant_joined":
            events.append(
                ParticipantJoined(
                    channel_id=record.channel_id, seq=record.seq, user_id=details["user_id"], role=details["role"]
                )
            )
        elif record.kind == "participant_left":
            events.append(ParticipantLeft(channel_id=record.channel_id, seq=record.seq, user_id=details["user_id"]))
    return events
