"""What messaging publishes. Names and fields are part of the contract."""

from uuid import UUID

from bus.events import Event


class MessageCreated(Event, frozen=True, tag="chat.message.created"):
    """A text was appended to a channel. `recipient_ids`: everybody in the channel but the sender."""

    channel_id: UUID
    message_id: UUID
    seq: int
    sender_id: str
    sender_name: str
    recipient_ids: list[str]
    message_preview: str
    context_type: str | None = None
    context_id: str | None = None


class MessageRevised(Event, frozen=True, tag="chat.message.revised"):
    """A text was given another content. `seq`: of the revision; `message_seq`: of the text."""

    channel_id: UUID
    message_id: UUID
    seq: int
    message_seq: int
    sender_id: str
    revision: int


class MessageDeleted(Event, frozen=True, tag="chat.message.deleted"):
    """A text was deleted. `seq`: of the deletion; `message_seq`: of the text."""

    channel_id: UUID
    message_id: UUID
    seq: int
    message_seq: int
    sender_id: str
    deleted_by: str


class ChannelRead(Event, frozen=True, tag="chat.channel.read"):
    """Somebody has read a channel up to and with `last_read_seq`."""

    channel_id: UUID
    user_id: str
    last_read_seq: int


class ParticipantJoined(Event, frozen=True, tag="chat.participant.joined"):
    """Somebody became a participant, by the record `seq`."""

    channel_id: UUID
    seq: int
    user_id: str
    role: str


class ParticipantLeft(Event, frozen=True, tag="chat.participant.left"):
    """Somebody is no longer a participant, from the record `seq` on."""

    channel_id: UUID
    seq: int
    user_id: str
