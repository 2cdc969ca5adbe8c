"""What a simple application would show: durable frames, folded as they come."""

from collections import defaultdict

import msgspec

from parley_client import (
    ChannelArchived,
    ChannelReopened,
    MessageCreated,
    MessageDeleted,
    MessageRevised,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantRoleChanged,
    ReactionAdded,
    ReactionRemoved,
    Record,
)


class Shown(msgspec.Struct):
    """A message on somebody's screen. `reactions`: (emoji, user id)."""

    sender: str
    content: str
    revision: int = 0
    deleted: bool = False
    reactions: set[tuple[str, str]] = msgspec.field(default_factory=set)


class ChannelView(msgspec.Struct):
    """A channel on somebody's screen. `people`: the roles of those of whom something was told; None: they left."""

    last_seq: int = 0
    messages: dict[str, Shown] = msgspec.field(default_factory=dict)
    people: dict[str, str | None] = msgspec.field(default_factory=dict)
    archived: bool = False


class View:
    """All that a device shows. `faults`: what came out of turn, or about a message that never came."""

    def __init__(self) -> None:
        self.channels: dict[str, ChannelView] = defaultdict(ChannelView)
        self.faults: list[str] = []

    def apply(self, record: Record) -> None:
        """Take in the next record."""
        channel = self.channels[record.channel_id]
        if record.seq != channel.last_seq + 1:
            self.faults.append(f"order: {record.seq} after {channel.last_seq} in {record.channel_id}")
        channel.last_seq = record.seq
        try:
            _apply(channel, record)
        except KeyError:
            self.faults.append(f"order: {record.seq} of {record.channel_id} is about nothing that is known")


def _apply(channel: ChannelView, record: Record) -> None:
    match record:
        case MessageCreated(message=message):
            shown = Shown(message.sender.user_id, message.content, deleted=message.is_deleted)
            channel.messages[message.id] = shown
        case MessageRevised(message=message):
            shown = channel.messages[message.id]
            shown.content, shown.revision = message.content, message.revision
        case MessageDeleted(message_id=message_id):
            shown = channel.messages[message_id]
            shown.content, shown.deleted = "", True
        case ReactionAdded(message_id=message_id, user_id=user_id, emoji=emoji):
            channel.messages[message_id].reactions.add((emoji, user_id))
        case ReactionRemoved(message_id=message_id, user_id=user_id, emoji=emoji):
            channel.messages[message_id].reactions.remove((emoji, user_id))
        case ParticipantJoined(user_id=user_id, role=role) | ParticipantRoleChanged(user_id=user_id, role=role):
            channel.people[user_id] = role
        case ParticipantLeft(user_id=user_id):
            channel.people[user_id] = None
        case ChannelArchived() | ChannelReopened():
            channel.archived = isinstance(record, ChannelArchived)
