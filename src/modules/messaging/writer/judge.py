"""Decides each send of a batch, without touching the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from kernel.errors import ParleyError
from modules.messaging.domain import may_write
from modules.messaging.errors import ChannelNotFoundError, ClientIdConflictError, ClosedError, ReadOnlyError
from modules.messaging.log.append import extend
from modules.messaging.log.record import Draft, Record
from modules.messaging.writer.channel import Channel
from modules.messaging.writer.send import Outcome, Send, Stored

RepeatKey = tuple[UUID, str, str | None]


def judge(
    channels: Mapping[UUID, Channel],
    repeats: dict[RepeatKey, Record],
    targets: Sequence[UUID | None],
    sends: Sequence[Send],
    now: datetime,
) -> list[Outcome]:
    """Return the outcome of each send, in order; heads move on, and repeats grow, with every record that is made."""
    return [
        _judge(channels.get(target) if target else None, repeats, send, now)
        for target, send in zip(targets, sends, strict=True)
    ]


def refusal(context_type: str | None, status: str, role: str | None) -> ParleyError | None:
    """Return why somebody in `role` (None: not a participant) may not write now; None when they may."""
    if role is None:
        return ChannelNotFoundError()
    if status != "active":
        return ClosedError()
    if not may_write(context_type, role):
        return ReadOnlyError(f"The role {role} only reads")
    return None


def _judge(channel: Channel | None, repeats: dict[RepeatKey, Record], send: Send, now: datetime) -> Outcome:
    role = channel.members.get(send.sender.user_id) if channel else None
    if channel is None or role is None:
        return ChannelNotFoundError()
    key = (channel.head.channel_id, send.sender.user_id, send.client_id)
    before = repeats.get(key)
    if before is not None:
        same = before.kind == "text" and before.content == send.content
        return Stored(before, repeated=True) if same else ClientIdConflictError()
    refused = refusal(channel.context_type, channel.status, role)
    if refused is not None:
        return refused
    record = extend(channel.head, _draft(send), now)
    repeats[key] = record
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
