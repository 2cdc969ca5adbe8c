"""The worlds that notifications are tested in: what other modules would say, kept in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kernel.clock import rfc3339
from kernel.ids import new_id
from modules.contacts import events
from modules.messaging.events import MessageCreated
from modules.notifications.ports import InviteEnd, InviteNews, Span
from realtime.attention import Attention


class Person(msgspec.Struct):
    """A recipient."""

    user_id: str
    phone: str | None = "+4915112345678"
    time_zone: str | None = "Europe/Berlin"
    active: bool = True
    email: str | None = None
    locale: str | None = None
    display_name: str = "Somebody"


class Text(msgspec.Struct):
    """A message in a channel."""

    seq: int
    sender: str
    deleted: bool = False
    at: datetime | None = None


class SpanState(msgspec.Struct, frozen=True):
    """What has become of a span."""

    is_participant: bool
    muted_until: datetime | None
    unread_count: int
    sender_names: tuple[str, ...]
    deleted_count: int = 0
    unread_from_seq: int | None = None
    unread_since: datetime | None = None


class Invitation(msgspec.Struct):
    """What somebody was invited to."""

    id: UUID
    invitor: str
    invitee: str
    created_at: datetime
    status: str = "pending"
    reminders: int = 0
    reminded_at: datetime | None = None
    responded_at: datetime | None = None


class InviteState(msgspec.Struct, frozen=True):
    """What has become of an invitation, for one of its people."""

    news: InviteNews
    ended: InviteEnd | None
    since: datetime | None
    other_name: str


class World:
    """Channels, people and their attention. Everybody is away and has read nothing until told otherwise."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.members: dict[UUID, set[str]] = {}
        self.texts: dict[UUID, list[Text]] = {}
        self.read_to: dict[tuple[str, UUID], int] = {}
        self.muted_until: dict[tuple[str, UUID], datetime] = {}
        self.looking: dict[str, Attention] = {}
        self.invitations: dict[UUID, Invitation] = {}

    def join(self, channel_id: UUID, *people: Person) -> None:
        """Put people into a channel."""
        self.people |= {person.user_id: person for person in people}
        self.members.setdefault(channel_id, set()).update(person.user_id for person in people)

    def say(self, channel_id: UUID, sender: str, **fields: Any) -> MessageCreated:
        """Append a text and return the event that tells of it."""
        texts = self.texts.setdefault(channel_id, [])
        texts.append(Text(len(texts) + 1, sender, at=fields.get("occurred_at")))
        return message(channel_id, len(texts), sender, sorted(self.members[channel_id] - {sender}), **fields)

    def invite(self, invitor: str, invitee: str, at: datetime) -> events.InviteCreated:
        """Let one invite another, and return the event that tells of it."""
        made = Invitation(new_id(), invitor, invitee, at)
        self.invitations[made.id] = made
        return events.InviteCreated(invite=shown(made), occurred_at=at)

    def remind(self, invite_id: UUID, at: datetime) -> events.InviteReminded:
        """Remind of an invitation."""
        found = self.invitations[invite_id]
        found.reminders, found.reminded_at = found.reminders + 1, at
        return events.InviteReminded(invite=shown(found), reminders=found.reminders, occurred_at=at)

    def accept(self, invite_id: UUID, at: datetime) -> events.InviteAccepted:
        """Accept an invitation."""
        found = self.invitations[invite_id]
        found.status, found.responded_at = "accepted", at
        return events.InviteAccepted(invite=shown(found), occurred_at=at)

    async def invite_states(self, spans: Sequence[Span]) -> Sequence[InviteState]:
        """Invitations: what has become of each."""
        return [self._invite_state(span, self.invitations[span.invite_id]) for span in spans]

    def _invite_state(self, span: Span, invite: Invitation) -> InviteState:
        if span.user_id == invite.invitor:
            ended: InviteEnd | None = None if invite.status == "accepted" else "withdrawn"
            return InviteState("accepted", ended, invite.responded_at, invite.invitee.title())
        ends: dict[str, InviteEnd] = {"accepted": "answered", "declined": "answered"}
        ended = None if invite.status == "pending" else ends.get(invite.status, "withdrawn")
        if span.from_seq == 1:
            return InviteState("received", ended, invite.created_at, invite.invitor.title())
        return InviteState("reminder", ended, invite.reminded_at, invite.invitor.title())

    async def states(self, spans: Sequence[Span]) -> Sequence[SpanState]:
        """Conversations: what has become of each span."""
        return [self._state(span) for span in spans]

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Recipients."""
        return {user_id: self.people[user_id] for user_id in user_ids if user_id in self.people}

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """Presence."""
        return {user_id: self.looking.get(user_id, Attention()) for user_id in user_ids}

    def _state(self, span: Span) -> SpanState:
        key = (span.user_id, span.channel_id)
        first = max(span.from_seq, self.read_to.get(key, 0) + 1)
        unread = [
            text
            for text in self.texts.get(span.channel_id, [])
            if first <= text.seq <= span.to_seq and text.sender != span.user_id
        ]
        left = [text for text in unread if not text.deleted]
        newest = {text.sender: text.seq for text in left}
        return SpanState(
            is_participant=span.user_id in self.members.get(span.channel_id, set()),
            muted_until=self.muted_until.get(key),
            unread_count=len(left),
            sender_names=tuple(sorted((name.title() for name in newest), key=lambda name: newest[name.lower()])),
            deleted_count=len(unread) - len(left),
            unread_from_seq=left[0].seq if left else None,
            unread_since=left[0].at if left else None,
        )


class EndlessUnread:
    """A world without memory, the same in every process: all is unread, everybody is away and has a number."""

    async def states(self, spans: Sequence[Span]) -> Sequence[SpanState]:
        """Conversations."""
        return [SpanState(True, None, span.to_seq - span.from_seq + 1, ("Ana",)) for span in spans]

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Recipients."""
        return {user_id: Person(user_id) for user_id in user_ids}

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """Presence."""
        return {user_id: Attention() for user_id in user_ids}


def message(channel_id: UUID, seq: int, sender: str, recipients: Sequence[str], **fields: Any) -> MessageCreated:
    """Return the event of a message."""
    return MessageCreated(
        channel_id=channel_id,
        message_id=UUID(int=seq),
        seq=seq,
        sender_id=sender,
        sender_name=sender.title(),
        recipient_ids=list(recipients),
        message_preview="a secret text",
        **fields,
    )


def shown(invite: Invitation) -> events.Invite:
    """Return an invitation as it is told of."""
    people = [events.Named(name, name, name.title()) for name in (invite.invitor, invite.invitee)]
    fields: dict[str, Any] = {"status": invite.status, "kind": "contact", "channel_id": None, "channel_title": None}
    fields |= {"channel_role": None, "message": "a secret text", "responded_at": None, "metadata": {}}
    at = rfc3339(invite.created_at)
    return events.Invite(id=invite.id, invitor=people[0], invitee=people[1], created_at=at, expires_at=at, **fields)
