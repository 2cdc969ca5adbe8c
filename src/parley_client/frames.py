"""What the server sends. Types that a newer server adds are known by their place in the log only, or ignored."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

import msgspec

from parley_client.models import Message, Problem


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all frames."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the server accepts."""

    message_chars: int = 5_000
    frame_bytes: int = 16 * 1024
    messages_per_s: float = 5
    message_burst: int = 20


class ChannelHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where a channel's log ends, and how far it was read."""

    channel_id: str
    last_seq: int
    last_read_seq: int = 0
    unread_count: int = 0


class Ready(Frame, frozen=True, tag="ready"):
    """The socket is authenticated. `channels` are the newest 200; `more`: there are others."""

    connection_id: str
    user_id: str
    epoch: str
    server_time: datetime
    limits: Limits
    channels: list[ChannelHead]
    more: bool = False


class AuthRefreshed(Frame, frozen=True, tag="auth.refreshed"):
    """The new token counts."""


class Ack(Frame, frozen=True, tag="ack"):
    """What was asked is durable, at `seq`."""

    ref: str
    channel_id: str
    seq: int
    message: Message | None = None


class ErrorFrame(Frame, frozen=True, tag="error"):
    """What was asked is refused."""

    problem: Problem
    ref: str | None = None


class ResumedHead(msgspec.Struct, frozen=True, kw_only=True):
    """Up to where a channel was resumed."""

    channel_id: str
    last_seq: int


class Resumed(Frame, frozen=True, tag="resumed"):
    """What was missed has been sent, or belongs to another history."""

    ref: str
    channels: list[ResumedHead]
    reset: bool = False


class Record(Frame, frozen=True):
    """A place in a channel's log, and what stands there. Each comes once, in the order of `seq`."""

    channel_id: str
    seq: int


class MessageCreated(Record, frozen=True, tag="message.created"):
    """Somebody wrote."""

    message: Message


class MessageRevised(Record, frozen=True, tag="message.revised"):
    """Somebody changed what they had written; `message` is how it is now."""

    message: Message


class MessageDeleted(Record, frozen=True, tag="message.deleted"):
    """A message is hidden from now on."""

    message_id: str
    deleted_by: str | None = None
    deleted_at: datetime | None = None


class MessageRedacted(Record, frozen=True, tag="message.redacted"):
    """A message's text is erased for good."""

    message_id: str


class ReactionAdded(Record, frozen=True, tag="reaction.added"):
    """Somebody reacted to a message."""

    message_id: str
    user_id: str
    emoji: str


class ReactionRemoved(Record, frozen=True, tag="reaction.removed"):
    """Somebody took a reaction back."""

    message_id: str
    user_id: str
    emoji: str


class ParticipantJoined(Record, frozen=True, tag="participant.joined"):
    """Somebody takes part from here on."""

    user_id: str
    role: str | None = None
    by: str | None = None


class ParticipantLeft(Record, frozen=True, tag="participant.left"):
    """Somebody doesn't take part any more."""

    user_id: str
    role: str | None = None
    by: str | None = None


class ParticipantRoleChanged(Record, frozen=True, tag="participant.role_changed"):
    """Somebody's role is another."""

    user_id: str
    role: str | None = None
    by: str | None = None


class ChannelArchived(Record, frozen=True, tag="channel.archived"):
    """Nobody can write any more."""

    by: str | None = None


class ChannelReopened(Record, frozen=True, tag="channel.reopened"):
    """The channel may be written to again."""

    by: str | None = None


class UnknownRecord(Record, frozen=True, tag=""):
    """A record that this version of the client doesn't know; `kind` is its frame's type."""

    kind: str


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """The history is another, as after a restore: whatever is known of channels is to be loaded anew.

    Records go on after `positions` (channel id → seq).
    """

    epoch: str
    positions: Mapping[str, int]


class Receipt(Frame, frozen=True, tag="receipt"):
    """How far somebody has received and read."""

    channel_id: str
    user_id: str
    last_delivered_seq: int
    last_read_seq: int


class Typing(Frame, frozen=True, tag="typing"):
    """Everybody who is typing in a channel now; gone by itself after five seconds."""

    channel_id: str
    user_ids: list[str]


class Presence(Frame, frozen=True, tag="presence"):
    """Whether somebody is `online`, `away` or `offline`."""

    user_id: str
    status: str
    last_seen_at: datetime | None = None


Ephemeral: TypeAlias = Receipt | Typing | Presence
Incoming: TypeAlias = (
    Ready
    | AuthRefreshed
    | Ack
    | ErrorFrame
    | Resumed
    | MessageCreated
    | MessageRevised
    | MessageDeleted
    | MessageRedacted
    | ReactionAdded
    | ReactionRemoved
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantRoleChanged
    | ChannelArchived
    | ChannelReopened
    | Receipt
    | Typing
    | Presence
)


class _Place(msgspec.Struct):
    type: str = ""
    channel_id: str | None = None
    seq: int | None = None


_decode: Callable[[str | bytes], Incoming] = msgspec.json.Decoder(Incoming).decode
_decode_place = msgspec.json.Decoder(_Place).decode
UNPLACED = {"ack", "ready", "error", "resumed"}


def decode(text: str | bytes) -> Incoming | UnknownRecord | None:
    """Return a frame. What can't be understood is an `UnknownRecord` if it has a place in a log, else None."""
    try:
        return _decode(text)
    except msgspec.ValidationError:
        return _place(text)
    except msgspec.DecodeError:
        return None


def _place(text: str | bytes) -> UnknownRecord | None:
    try:
        place = _decode_place(text)
    except msgspec.ValidationError:
        return None
    if place.channel_id is None or place.seq is None or place.type in UNPLACED:
        return None
    return UnknownRecord(channel_id=place.channel_id, seq=place.seq, kind=place.type)
