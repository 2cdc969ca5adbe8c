"""Decides each send of a batch under the locks, without touching the database."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from modules.messaging.domain import may_write
from modules.messaging.errors import ChannelNotFoundError, ClientIdConflictError, ClosedError, ReadOnlyError
from modules.messaging.log.append import extend
from modules.messaging.log.record import Draft, Record
from modules.messaging.writer.queries import LockedChannel
from modules.messaging.writer.send import Outcome, Send, Stored

RepeatKey = tuple[UUID, str, str | None]


class Batch(msgspec.Struct):
    """Everything that the decisions depend on."""

    channels: Mapping[UUID, LockedChannel]
    members: Mapping[UUID, Mapping[str, str]]
    repeats: dict[RepeatKey, Record]


def judge(batch: Batch, sends: Sequence[tuple[UUID | None, Send]]) -> list[Outcome]:
    """Return the outcome of each send, in order; heads move on with every record that is made."""
    return [_judge(batch, channel, send) for channel, send in sends]


def _judge(batch: Batch, channel_id: UUID | None, send: Send) -> Outcome:
    channel = batch.channels.get(channel_id) if channel_id else None
    role = batch.members[channel.head.channel_id].get(send.sender.user_id) if channel else None
    if channel is None or role is None:
        return ChannelNotFoundError()
    key = (channel.head.channel_id, send.sender.user_id, send.client_id)
    before = batch.repeats.get(key)
    if before is not None:
        same = before.kind == "text" and before.content == send.content
        return Stored(before, repeated=True) if same else ClientIdConflictError()
    if channel.status != "active":
        return ClosedError()
    if not may_write(channel.context_type, role):
        return ReadOnlyError(f"The role {role} only reads")
    record = extend(channel.head, _draft(send), channel.now)
    batch.repeats[key] = record
    return Stored(record)


def _draft(send: Send) -> Draft:
    return Draft(
        kind="text",
        sender_id=send.sender.user_id,
        sender_username=send.sender.username,
        sender_display_name=send.sender.display_name,
        client_id=send.client_id,
        content=send.content,
    )
