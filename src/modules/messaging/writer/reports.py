"""What the bus is told of a record."""

from bus import Event
from modules.messaging.domain import preview
from modules.messaging.events import MessageCreated, MessageDeleted, MessageRevised
from modules.messaging.fold import Folded
from modules.messaging.log.record import Record
from modules.messaging.writer.channel import Channel


def event_of(record: Record, folded: Folded | None, channel: Channel) -> Event | None:
    """Return the event that reports a record; reactions are nobody's business but their channel's."""
    match record.kind:
        case "text":
            return _created(record, channel)
        case "revision" if folded is not None:
            return MessageRevised(
                channel_id=record.channel_id,
                event_id=record.id,
                message_id=folded.record.id,
                seq=record.seq,
                message_seq=folded.record.seq,
                sender_id=record.sender_id or "",
                revision=folded.revision,
            )
        case "deletion" if folded is not None:
            return MessageDeleted(
                channel_id=record.channel_id,
                event_id=record.id,
                message_id=folded.record.id,
                seq=record.seq,
                message_seq=folded.record.seq,
                sender_id=folded.record.sender_id or "",
                deleted_by=record.sender_id or "",
            )
        case _:
            return None


def _created(record: Record, channel: Channel) -> MessageCreated:
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
