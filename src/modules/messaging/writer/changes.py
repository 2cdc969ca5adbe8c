"""Decides what happens to a message: revisions, deletions, reactions."""

from datetime import datetime
from typing import Any, NamedTuple

from kernel.errors import ForbiddenError, ParleyError
from modules.messaging.domain import Kind, may_delete_others
from modules.messaging.errors import ChannelNotFoundError, MessageDeletedError, TooManyReactionsError
from modules.messaging.fold import Folded
from modules.messaging.log.append import extend
from modules.messaging.log.record import Draft
from modules.messaging.writer.channel import Channel
from modules.messaging.writer.send import Action, Change, Delete, Outcome, React, Revise, Stored, Unchanged

MAX_EMOJI = 50
"""Different ones on one message."""


class Step(NamedTuple):
    """The record that a change makes."""

    kind: Kind
    details: dict[str, Any] | None = None
    content: str | None = None


def change(channel: Channel, text: Folded | None, request: Change, now: datetime) -> Outcome:
    """Return the outcome of a change by a participant who may write; the head and `text` move on with it."""
    if text is None:
        return ChannelNotFoundError()
    step = _step(channel, text, request.sender.user_id, request.action)
    if step is None:
        return Unchanged(text.copy())
    return step if isinstance(step, ParleyError) else _append(channel, text, request, now, step)


def _step(channel: Channel, text: Folded, user_id: str, action: Action) -> Step | ParleyError | None:
    match action:
        case Revise():
            return _revision(text, user_id, action)
        case Delete():
            return _deletion(channel, text, user_id)
        case React():
            return _reaction(text, user_id, action)


def _revision(text: Folded, user_id: str, action: Revise) -> Step | ParleyError:
    if user_id != text.record.sender_id:
        return ForbiddenError("Only the sender may revise a message")
    if text.is_deleted:
        return MessageDeletedError()
    return Step("revision", {"revision": text.revision + 1}, action.content)


def _deletion(channel: Channel, text: Folded, user_id: str) -> Step | ParleyError | None:
    if text.is_deleted:
        return None
    if user_id != text.record.sender_id and not may_delete_others(channel.kind, channel.members[user_id]):
        return ForbiddenError("Only the sender, or an admin or moderator of a group, may delete a message")
    return Step("deletion")


def _reaction(text: Folded, user_id: str, action: React) -> Step | ParleyError | None:
    is_there = user_id in text.reactions.get(action.emoji, {})
    if action.removed != is_there:
        return None
    if action.removed:
        return Step("reaction_removed", {"emoji": action.emoji})
    if text.is_deleted:
        return MessageDeletedError()
    if action.emoji not in text.reactions and len(text.reactions) >= MAX_EMOJI:
        return TooManyReactionsError(f"At most {MAX_EMOJI} different emoji on one message")
    return Step("reaction", {"emoji": action.emoji})


def _append(channel: Channel, text: Folded, request: Change, now: datetime, step: Step) -> Stored:
    draft = Draft(
        kind=step.kind,
        sender_id=request.sender.user_id,
        sender_username=request.sender.username,
        sender_display_name=request.sender.display_name,
        client_id=request.client_id,
        target_id=request.message_id,
        content=step.content,
        details=step.details,
    )
    record = extend(channel.head, draft, now)
    text.apply(record)
    return Stored(record, folded=text.copy())
