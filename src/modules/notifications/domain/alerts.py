"""How new messages become alerts: one entry for each recipient and channel, however many messages there were."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from modules.messaging.events import MessageCreated
from modules.notifications.domain.decision import Decision, Suppress
from modules.notifications.domain.delivery import Delivery
from modules.notifications.ports import Span


class Heard(msgspec.Struct, frozen=True):
    """New messages of a channel, for one recipient: up to which seq, how many, to be decided on when."""

    user_id: str
    channel_id: UUID
    seq: int
    message_count: int
    due_at: datetime


class DueAlert(msgspec.Struct, frozen=True):
    """An alert on which to decide. `message_count`: events heard, a hint; the log knows better."""

    span: Span
    message_count: int


def merge(messages: Iterable[MessageCreated], delay_s: float) -> list[Heard]:
    """Return who is to be alerted of which channel, `delay_s` after its first message, in whatever order they come."""
    by_channel: dict[UUID, list[MessageCreated]] = defaultdict(list)
    for message in messages:
        by_channel[message.channel_id].append(message)
    return [heard for channel in by_channel.values() for heard in _of_channel(channel, timedelta(seconds=delay_s))]


def _of_channel(messages: list[MessageCreated], delay: timedelta) -> list[Heard]:
    counts: Counter[str] = Counter()
    newest: dict[str, int] = {}
    for message in sorted(messages, key=lambda message: message.seq):
        counts.update(message.recipient_ids)
        newest.update(dict.fromkeys(message.recipient_ids, message.seq))
    due_at = min(message.occurred_at for message in messages) + delay
    channel_id = messages[0].channel_id
    return [Heard(user_id, channel_id, seq, counts[user_id], due_at) for user_id, seq in newest.items()]


def delivery_of(
    alert: DueAlert,
    decision: Decision,
    *,
    delivery_id: UUID,
    unread_count: int,
    transport: str,
    now: datetime,
) -> Delivery:
    """Return the row that an alert ends in: one to be sent, or one that says why it isn't."""
    reason = decision.reason if isinstance(decision, Suppress) else None
    return Delivery(
        id=delivery_id,
        user_id=alert.span.user_id,
        transport=transport,
        category="messages",
        channel_id=alert.span.channel_id,
        from_seq=alert.span.from_seq,
        to_seq=alert.span.to_seq,
        message_count=unread_count or alert.message_count,
        state="pending" if reason is None else "suppressed",
        reason=reason,
        provider_id=None,
        attempts=0,
        failures=0,
        due_at=now,
        claim_id=None,
        lease_until=None,
        created_at=now,
        updated_at=now,
    )
