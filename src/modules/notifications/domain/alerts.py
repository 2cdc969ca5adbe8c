"""How news become alerts: one for each recipient, thread and transport, however much there is to tell of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from modules.contacts.events import InviteAccepted, InviteEvent, InviteReminded
from modules.messaging.events import MessageCreated
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.verdicts import Decision, Send, noted
from modules.notifications.ports import Category, Span


class Heard(msgspec.Struct, frozen=True):
    """News of a thread, for one recipient: up to which seq, how many, and when the first happened. See `ports.Span`."""

    user_id: str
    thread_id: UUID
    seq: int
    message_count: int
    begun_at: datetime
    category: Category = "messages"


class DueAlert(msgspec.Struct, frozen=True):
    """An alert on which to decide. `message_count`: events heard, a hint; the log knows better."""

    span: Span
    transport: str
    message_count: int


class OpenAlert(msgspec.Struct, frozen=True):
    """An alert that isn't decided yet, or was put off.

    `begun_at`: when the first that it tells of happened. `held_by`: why it was put off the last time; None if it
    wasn't yet.
    """

    span: Span
    transport: str
    message_count: int
    begun_at: datetime
    due_at: datetime
    held_by: str | None


def merge(messages: Iterable[MessageCreated]) -> list[Heard]:
    """Return who is to be alerted of which channel, in whatever order its messages come."""
    by_channel: dict[UUID, list[MessageCreated]] = defaultdict(list)
    for message in messages:
        by_channel[message.channel_id].append(message)
    return [heard for channel in by_channel.values() for heard in _of_channel(channel)]


def _of_channel(messages: list[MessageCreated]) -> list[Heard]:
    counts: Counter[str] = Counter()
    newest: dict[str, int] = {}
    begun: dict[str, datetime] = {}
    for message in sorted(messages, key=lambda message: message.seq):
        counts.update(message.recipient_ids)
        newest.update(dict.fromkeys(message.recipient_ids, message.seq))
        begun = dict.fromkeys(message.recipient_ids, message.occurred_at) | begun
    channel_id = messages[0].channel_id
    return [Heard(user_id, channel_id, seq, counts[user_id], begun[user_id]) for user_id, seq in newest.items()]


def of_invites(events: Iterable[InviteEvent]) -> list[Heard]:
    """Return who is to be alerted of which invitation, once each, in whatever order and however often it is told."""
    newest: dict[tuple[str, UUID], Heard] = {}
    for heard in map(_of_invite, events):
        key = (heard.user_id, heard.thread_id)
        if key not in newest or newest[key].seq < heard.seq:
            newest[key] = heard
    return list(newest.values())


def _of_invite(event: InviteEvent) -> Heard:
    accepted = isinstance(event, InviteAccepted)
    who = event.invite.invitor if accepted else event.invite.invitee
    seq = 1 + (event.reminders if isinstance(event, InviteReminded) else 0)
    return Heard(who.user_id, event.invite.id, seq, 1, event.occurred_at, "invites")


def delivery_of(
    alert: DueAlert, decision: Decision, *, delivery_id: UUID, unread_count: int, now: datetime
) -> Delivery:
    """Return the row that an alert ends in: one to be sent, or one that says why it isn't."""
    return Delivery(
        id=delivery_id,
        user_id=alert.span.user_id,
        transport=alert.transport,
        category=alert.span.category,
        thread_id=alert.span.thread_id,
        from_seq=alert.span.from_seq,
        to_seq=alert.span.to_seq,
        message_count=unread_count or alert.message_count,
        state="pending" if isinstance(decision, Send) else "suppressed",
        reason=noted(decision),
        provider_id=None,
        attempts=0,
        failures=0,
        due_at=now,
        claim_id=None,
        lease_until=None,
        created_at=now,
        updated_at=now,
    )
