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
