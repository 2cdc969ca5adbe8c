"""Frames that are answered, and the record that an answer stands for: the sending socket gets no other frame for it.

Where a change appended nothing, the answer stands for no record: it has the seq of the message.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from parley_client.frames import (
    Ack,
    MessageCreated,
    MessageDeleted,
    MessageRevised,
    ReactionAdded,
    ReactionRemoved,
    Record,
)

Target: TypeAlias = str | tuple[str, str]
"""A channel's id, or the type and the id of a context: its first message makes its channel."""


class Request(msgspec.Struct, frozen=True):
    """A frame but for its `ref`. `record` returns what an acknowledgement to the user of that id stands for."""

    kind: str
    fields: Mapping[str, Any]
    record: Callable[[Ack, str], Record | None]

    def encode(self, ref: str) -> bytes:
        """Return the frame."""
        return encode(self.kind, ref=ref, **self.fields)


def encode(kind: str, **fields: Any) -> bytes:
    """Return a frame."""
    return msgspec.json.encode({"type": kind, **fields})


def message(to: Target, content: str, client_id: str) -> Request:
    """Write."""
    where = {"channel_id": to} if isinstance(to, str) else {"context": {"type": to[0], "id": to[1]}}

    def record(ack: Ack, _: str) -> Record | None:
        if ack.message is None or ack.message.seq != ack.seq:
            return None
        return MessageCreated(channel_id=ack.channel_id, seq=ack.seq, message=ack.message)

    return Request("message.send", {**where, "client_id": client_id, "content": content}, record)


def revision(message_id: str, content: str, client_id: str) -> Request:
    """Change what was written."""

    def record(ack: Ack, _: str) -> Record | None:
        if ack.message is None or _appended_nothing(ack):
            return None
        return MessageRevised(channel_id=ack.channel_id, seq=ack.seq, message=ack.message)

    return Request("message.revise", {"message_id": message_id, "client_id": client_id, "content": content}, record)


def deletion(message_id: str) -> Request:
    """Hide a message."""

    def record(ack: Ack, user_id: str) -> Record | None:
        if _appended_nothing(ack):
            return None
        at = ack.message.deleted_at if ack.message is not None else None
        return MessageDeleted(
            channel_id=ack.channel_id, seq=ack.seq, message_id=message_id, deleted_by=user_id, deleted_at=at
        )

    return Request("message.delete", {"message_id": message_id}, record)


def reaction(message_id: str, emoji: str) -> Request:
    """React."""
    return _about_reaction("reaction.add", ReactionAdded, message_id, emoji)


def reaction_taken_back(message_id: str, emoji: str) -> Request:
    """Take a reaction back."""
    return _about_reaction("reaction.remove", ReactionRemoved, message_id, emoji)


def _about_reaction(
    frame: str, kind: type[ReactionAdded] | type[ReactionRemoved], message_id: str, emoji: str
) -> Request:
    def record(ack: Ack, user_id: str) -> Record | None:
        if _appended_nothing(ack):
            return None
        return kind(channel_id=ack.channel_id, seq=ack.seq, message_id=message_id, user_id=user_id, emoji=emoji)

    return Request(frame, {"message_id": message_id, "emoji": emoji}, record)


def _appended_nothing(ack: Ack) -> bool:
    return ack.message is not None and ack.message.seq == ack.seq
