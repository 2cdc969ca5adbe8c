"""Frames that the server sends."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from kernel.clock import Timestamp, rfc3339
from modules.messaging.log.record import Record
from modules.messaging.schemas.messages import Message
from realtime import frames
from realtime.frame import Frame

frame = frames.frame


class ServerFrame(frames.ServerFrame, frozen=True):
    """Base of the frames that go out here and at no other endpoint."""


class Limits(msgspec.Struct, frozen=True):
    """What this server accepts."""

    message_chars: int
    frame_bytes: int
    messages_per_s: float
    message_burst: int
    sockets_per_user: int


class ChannelHead(msgspec.Struct, frozen=True):
    """Where a channel is, and where its reader is."""

    channel_id: UUID
    last_seq: int
    last_read_seq: int
    unread_count: int


class Ready(ServerFrame, frozen=True, tag="ready"):
    """The socket is authenticated and hears all its channels."""

    connection_id: UUID
    user_id: str
    epoch: str
    server_time: Timestamp
    heartbeat_s: float
    limits: Limits
    channels: list[ChannelHead]
    more: bool


class Ack(ServerFrame, frozen=True, tag="ack"):
    """The record is durable. On the sending socket this takes the place of the record's own frame.

    Where a change appended nothing, because it was so already, `seq` is the message's own.
    """

    ref: str
    channel_id: UUID
    seq: int
    message: Message


class MessageCreated(ServerFrame, frozen=True, tag="message.created"):
    """A message was appended."""

    channel_id: UUID
    seq: int
    message: Message


class MessageRevised(ServerFrame, frozen=True, tag="message.revised"):
    """A message has another content."""

    channel_id: UUID
    seq: int
    message: Message


class MessageDeleted(ServerFrame, frozen=True, tag="message.deleted"):
    """A message says nothing any more."""

    channel_id: UUID
    seq: int
    message_id: UUID
    deleted_by: str
    deleted_at: Timestamp


class ReactionFrame(ServerFrame, frozen=True):
    """Somebody's reaction to a message changed."""

    channel_id: UUID
    seq: int
    message_id: UUID
    user_id: str
    emoji: str


class ReactionAdded(ReactionFrame, frozen=True, tag="reaction.added"):
    """Somebody reacted to a message."""


class ReactionRemoved(ReactionFrame, frozen=True, tag="reaction.removed"):
    """Somebody took a reaction back."""


class ParticipantFrame(ServerFrame, frozen=True):
    """Membership changed."""

    channel_id: UUID
    seq: int
    user_id: str
    role: str | UnsetType = UNSET
    by: str | UnsetType = UNSET


class ParticipantJoined(ParticipantFrame, frozen=True, tag="participant.joined"):
    """Somebody is a participant from this record on."""


class ParticipantLeft(ParticipantFrame, frozen=True, tag="participant.left"):
    """Somebody isn't a participant any more."""


class ParticipantRoleChanged(ParticipantFrame, frozen=True, tag="participant.role_changed"):
    """Somebody's role is another."""


class ChannelFrame(ServerFrame, frozen=True):
    """A channel's status changed."""

    channel_id: UUID
    seq: int
    by: str | UnsetType = UNSET


class ChannelArchived(ChannelFrame, frozen=True, tag="channel.archived"):
    """The channel is closed for writing."""


class ChannelReopened(ChannelFrame, frozen=True, tag="channel.reopened"):
    """The channel may be written to again."""


class ResumedHead(msgspec.Struct, frozen=True):
    """Up to where a channel was resumed."""

    channel_id: UUID
    last_seq: int


class Resumed(ServerFrame, frozen=True, tag="resumed"):
    """All that was missed has been sent. `reset`: what the client knows is from another history; reload."""

    ref: str
    channels: list[ResumedHead]
    reset: Literal[True] | UnsetType = UNSET


class Receipt(ServerFrame, frozen=True, tag="receipt"):
    """How far somebody has come. It only grows: where two differ the greater counts, in whichever order they came."""

    channel_id: UUID
    user_id: str
    last_delivered_seq: int
    last_read_seq: int


class Typing(ServerFrame, frozen=True, tag="typing"):
    """Everybody who is writing in a channel; ends by an empty list, or by itself after five seconds."""

    channel_id: UUID
    user_ids: list[str]


PARTICIPANT_FRAMES: dict[str, type[ParticipantFrame]] = {
    "participant_joined": ParticipantJoined,
    "participant_left": ParticipantLeft,
    "participant_role_changed": ParticipantRoleChanged,
}
CHANNEL_FRAMES: dict[str, type[ChannelFrame]] = {
    "channel_archived": ChannelArchived,
    "channel_reopened": ChannelReopened,
}
REACTION_FRAMES: dict[str, type[ReactionFrame]] = {
    "reaction": ReactionAdded,
    "reaction_removed": ReactionRemoved,
}


def frame_of(record: Record, message: Message | None) -> Frame:
    """Return the frame of a record; `message`: what a text is, or what a revision made of one."""
    return frame(_content(record, message))


def _content(record: Record, message: Message | None) -> ServerFrame:
    if record.kind == "text" and message is not None:
        return MessageCreated(channel_id=record.channel_id, seq=record.seq, message=message)
    place: dict[str, Any] = {"channel_id": record.channel_id, "seq": record.seq}
    details = record.details or {}
    if message is not None:
        return MessageRevised(**place, message=message)
    if record.target_id is not None:
        return _about_a_message(record, record.target_id, place)
    if record.kind in CHANNEL_FRAMES:
        return CHANNEL_FRAMES[record.kind](**place, by=details.get("by", UNSET))
    return PARTICIPANT_FRAMES[record.kind](
        **place, user_id=details["user_id"], role=details.get("role", UNSET), by=details.get("by", UNSET)
    )


def _about_a_message(record: Record, message_id: UUID, place: dict[str, Any]) -> ServerFrame:
    actor = record.sender_id or ""
    if record.kind == "deletion":
        return MessageDeleted(**place, message_id=message_id, deleted_by=actor, deleted_at=rfc3339(record.created_at))
    return REACTION_FRAMES[record.kind](
        **place, message_id=message_id, user_id=actor, emoji=(record.details or {})["emoji"]
    )
