"""Frames that clients send, decoded strictly: unknown types and fields are refused."""

from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from kernel.text import ClientId, HostId
from modules.messaging.emoji import MAX_CODE_POINTS
from modules.messaging.schemas.base import Content, ContextTypeName, Seq
from realtime.frames import Auth, ClientFrame, Ping, Ref

Emoji = Annotated[str, Meta(min_length=1, max_length=MAX_CODE_POINTS, examples=["👍"])]
MAX_RESUMED = 2_000
MAX_WATCHED = 500


class ContextRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A context instead of a channel: its first message makes the channel."""

    type: ContextTypeName
    id: HostId


class SendMessage(ClientFrame, frozen=True, tag="message.send"):
    """Append a message to a channel, or to the channel of a context."""

    ref: Ref
    client_id: ClientId
    content: Content
    channel_id: UUID | None = None
    context: ContextRef | None = None


class ReviseMessage(ClientFrame, frozen=True, tag="message.revise"):
    """Give one's own message another content."""

    ref: Ref
    message_id: UUID
    client_id: ClientId
    content: Content


class DeleteMessage(ClientFrame, frozen=True, tag="message.delete"):
    """Hide a message: one's own, or any as admin or moderator of a group."""

    ref: Ref
    message_id: UUID


class AddReaction(ClientFrame, frozen=True, tag="reaction.add"):
    """React to a message with one emoji."""

    ref: Ref
    message_id: UUID
    emoji: Emoji


class RemoveReaction(ClientFrame, frozen=True, tag="reaction.remove"):
    """Take one's reaction back."""

    ref: Ref
    message_id: UUID
    emoji: Emoji


class Read(ClientFrame, frozen=True, tag="read"):
    """Everything up to `seq` was read."""

    channel_id: UUID
    seq: Seq


class Delivered(ClientFrame, frozen=True, tag="delivered"):
    """Everything up to `seq` has arrived on a device."""

    channel_id: UUID
    seq: Seq


class ResumeFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last record of a channel that the client has."""

    channel_id: UUID
    after_seq: Seq


class Resume(ClientFrame, frozen=True, tag="resume"):
    """Send what I missed."""

    ref: Ref
    channels: Annotated[list[ResumeFrom], Meta(max_length=MAX_RESUMED)]
    epoch: Annotated[str, Meta(max_length=64)]


class View(ClientFrame, frozen=True, tag="view"):
    """The channel on the screen, or none."""

    channel_id: UUID | None


class Active(ClientFrame, frozen=True, tag="active"):
    """The person touched the device."""


class Typing(ClientFrame, frozen=True, tag="typing"):
    """The person is writing, or has stopped. To be repeated every few seconds: it is forgotten after five."""

    channel_id: UUID
    is_typing: bool


class WatchPresence(ClientFrame, frozen=True, tag="presence.watch"):
    """Tell me of these people, from now on these only: contacts and fellow participants; others are left out."""

    user_ids: Annotated[list[HostId], Meta(max_length=MAX_WATCHED)]


Incoming: TypeAlias = (
    Auth
    | SendMessage
    | ReviseMessage
    | DeleteMessage
    | AddReaction
    | RemoveReaction
    | Read
    | Delivered
    | Resume
    | View
    | Typing
    | Active
    | WatchPresence
    | Ping
)


decode = msgspec.json.Decoder(Incoming).decode
