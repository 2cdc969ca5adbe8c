"""What later records made of a text: the fold behind every view of a message, and behind `chat_message_state`."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from modules.messaging.log.record import Record


class Folded(msgspec.Struct):
    """A text and what became of it. `reactions` is emoji → user id → the seq at which they reacted."""

    record: Record
    content: str
    revision: int = 0
    revision_seq: int | None = None
    edited_at: datetime | None = None
    deleted_seq: int | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    reactions: dict[str, dict[str, int]] = {}
    updated_seq: int = 0

    @property
    def is_deleted(self) -> bool:
        """Whether a deletion was appended."""
        return self.deleted_seq is not None

    def apply(self, change: Record) -> None:
        """Fold in the next record about this text."""
        match change.kind:
            case "revision":
                self.content, self.revision = change.content or "", self.revision + 1
                self.revision_seq, self.edited_at = change.seq, change.created_at
            case "deletion":
                self.deleted_seq, self.deleted_at, self.deleted_by = change.seq, change.created_at, change.sender_id
            case "reaction":
                self.reactions.setdefault(emoji_of(change), {})[change.sender_id or ""] = change.seq
            case "reaction_removed":
                self._unreact(emoji_of(change), change.sender_id or "")
        self.updated_seq = change.seq

    def copy(self) -> "Folded":
        """Return this as it is now; later changes don't show in it."""
        return replace(self, reactions={emoji: dict(users) for emoji, users in self.reactions.items()})

    def _unreact(self, emoji: str, user_id: str) -> None:
        users = self.reactions.get(emoji, {})
        users.pop(user_id, None)
        if not users:
            self.reactions.pop(emoji, None)


def fresh(record: Record) -> Folded:
    """Return a text to which nothing has happened yet."""
    return Folded(record, record.content or "", updated_seq=record.seq)


def emoji_of(change: Record) -> str:
    """Return the emoji of a reaction's record."""
    return str((change.details or {})["emoji"])


def fold(records: Iterable[Record]) -> Iterator[Folded]:
    """Yield the texts that were changed, as a channel's whole log, in order, leaves them."""
    texts: dict[UUID, Folded] = {}
    for record in records:
        if record.kind == "text":
            texts[record.id] = fresh(record)
        elif record.target_id is not None:
            texts[record.target_id].apply(record)
    yield from (text for text in texts.values() if text.updated_seq != text.record.seq)
