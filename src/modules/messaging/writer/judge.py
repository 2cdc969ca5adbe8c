"""Decides each request of a batch, without touching the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kernel.errors import ParleyError
from modules.messaging.domain import may_write
from modules.messaging.errors import ChannelNotFoundError, ClientIdConflictError, ClosedError, ReadOnlyError
from modules.messaging.fold import Folded
from modules.messaging.log.append import extend
from modules.messaging.log.record import Draft, Record
from modules.messaging.writer.changes import change
from modules.messaging.writer.channel import Channel
from modules.messaging.writer.send import Outcome, Request, Revise, Send, Stored

RepeatKey = tuple[UUID, str, str | None]


class Known(msgspec.Struct):
    """What a batch is decided on: heads move on, and repeats and texts grow and change, with every record made."""

    channels: Mapping[UUID, Channel]
    repeats: dict[RepeatKey, Record] = {}
    texts: dict[UUID, Folded] = {}


def judge(known: Known, targets: Sequence[UUID | None], requests: Sequence[Request], now: datetime) -> list[Outcome]:
    """Return the outcome of each request, in order."""
    return [_judge(known, target, request, now) for target, request in zip(targets, requests, strict=True)]


def refusal(context_type: str | None, status: str, role: str | None) -> ParleyError | None:
    """Return why somebody in `role` (None: not a participant) may not write now; None when they may."""
    if role is None:
        return ChannelNotFoundError()
    if status != "active":
        return ClosedError()
    if not may_write(context_type, role):
        return ReadOnlyError(f"The role {role} only reads")
    return None


def _judge(known: Known, target: UUID | None, request: Request, now: datetime) -> Outcome:
    channel = known.channels.get(target) if target else None
    role = channel.members.get(request.sender.user_id) if channel else None
    if channel is None or role is None:
        return ChannelNotFoundError()
    key = (channel.head.channel_id, request.sender.user_id, request.client_id)
    before = known.repeats.get(key) if request.client_id is not None else None
    if before is not None:
        return _repeated(known, before, request)
    refused = refusal(channel.context_type, channel.status, role)
    if refused is not None:
        return refused
    if isinstance(request, Send):
        outcome: Outcome = Stored(extend(channel.head, _draft(request), now))
    else:
        outcome = change(channel, known.texts.get(request.message_id), request, now)
    if request.client_id is not None and isinstance(outcome, Stored):
        known.repeats[key] = outcome.record
    return outcome


def _repeated(known: Known, before: Record, request: Request) -> Outcome:
    if isinstance(request, Send):
        same, text = before.kind == "text" and before.content == request.content, before.id
    else:
        same, text = _same_revision(before, request.action), request.message_id
        same = same and before.target_id == text
    if not same:
        return ClientIdConflictError()
    folded = known.texts.get(text)
    return Stored(before, repeated=True, folded=folded and folded.copy())


def _same_revision(before: Record, action: object) -> bool:
    return isinstance(action, Revise) and before.kind == "revision" and before.content == action.content


def _draft(send: Send) -> Draft:
    return Draft(
        kind="text",
        sender_id=send.sender.user_id,
        sender_username=send.sender.username,
        sender_display_name=send.sender.display_name,
        client_id=send.client_id,
        content=send.content,
    )
