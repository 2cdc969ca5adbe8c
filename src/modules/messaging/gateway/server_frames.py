"""Frames that the server sends."""

from typing import Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from kernel.clock import Timestamp
from kernel.errors import Problem
from modules.messaging.log.record import Record
from modules.messaging.schemas import Message
from realtime.frame import Frame

encode = msgspec.json.Encoder().encode


class ServerFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all frames that go out."""


class Limits(msgspec.Struct, frozen=True):
    """What this server accepts."""

    message_chars: int
    frame_bytes: int
    messages_per_s: float
    message_burst: int
    sockets_per_user: int


class ChannelHead(msgspec.Struct, frozen=True):
    """Where a channel is, and where its reader is. Unread texts are counted among the newest 1,000 records."""

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


class AuthRefreshed(ServerFrame, frozen=True, tag="auth.refreshed"):
    """The new token counts from now on."""

    expires_at: Timestamp


class Ack(ServerFrame, frozen=True, tag="ack"):
    """The message is durable. On the sending socket this takes the place of `message.created`."""

    ref: str
    channel_id: UUID
    seq: int
    message: Message


class ErrorFrame(ServerFrame, frozen=True, tag="error", kw_only=True):
    """Something that the client sent was refused."""

    ref: str | UnsetType = UNSET
    problem: Problem


class MessageCreated(ServerFrame, frozen=True, tag="message.created"):
    """A message was appended."""

    channel_id: UUID
    seq: int
    message: Message


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


class Pong(ServerFrame, frozen=True, tag="pong"):
    """The answer to a ping."""

    ref: str | UnsetType = UNSET


PARTICIPANT_FRAMES: dict[str, type[ParticipantFrame]] = {
    "participant_joined": ParticipantJoined,
    "participant_left": ParticipantLeft,
    "participant_role_changed": ParticipantRoleChanged,
}
CHANNEL_FRAMES: dict[str, type[ChannelFrame]] = {
    "channel_archived": ChannelArchived,
    "channel_reopened": ChannelReopened,
}


def frame(content: ServerFrame) -> Frame:
    """Encode a frame."""
    return Frame(encode(content))


def created(message: Message) -> Frame:
    """Return the frame of a text record."""
    return frame(MessageCreated(channel_id=message.channel_id, seq=message.seq, message=message))


def changed(record: Record) -> Frame:
    """Return the frame of a record that isn't a text."""
    details = record.details or {}
    by = details.get("by", UNSET)
    if record.kind in CHANNEL_FRAMES:
        return frame(CHANNEL_FRAMES[record.kind](channel_id=record.channel_id, seq=record.seq, by=by))
    return frame(
        PARTICIPANT_FRAMES[record.kind](
            channel_id=record.channel_id,
            seq=record.seq,
            user_id=details["user_id"],
            role=details.get("role", UNSET),
            by=by,
        )
    )
