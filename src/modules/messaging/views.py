"""From records to what clients see."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from kernel.clock import rfc3339
from kernel.cursors import encode_cursor
from modules.messaging.fold import Folded, fresh
from modules.messaging.log.record import Record
from modules.messaging.ports import People, Person
from modules.messaging.schemas.messages import LogRecord, Message, Reaction, Sender, Version, VersionPage
from modules.messaging.store.marks import Others
from modules.messaging.store.messages import Logged

Hidden = Mapping[str, Person]
NOBODY: Hidden = {}


async def pseudonyms(people: People, records: Iterable[Record]) -> Hidden:
    """Return those among the records' senders who were deactivated since: their names are shown no more."""
    known = await people.find({record.sender_id for record in records if record.sender_id})
    return {user: person for user, person in known.items() if not person.active}


def message(text: Folded, hidden: Hidden = NOBODY) -> Message:
    """Return a message as it is now; `own` adds what only its sender is told."""
    record = text.record
    plain = Message(
        id=record.id,
        channel_id=record.channel_id,
        seq=record.seq,
        sender=_sender(record, hidden) or Sender("", "", ""),
        content=text.content,
        client_id=record.client_id or "",
        created_at=rfc3339(record.created_at),
    )
    return plain if text.updated_seq == record.seq else _changed(plain, text)


def _changed(plain: Message, text: Folded) -> Message:
    return replace(
        plain,
        content="" if text.is_deleted else text.content,
        revision=text.revision,
        edited_at=_moment(text.edited_at),
        is_deleted=text.is_deleted,
        deleted_at=_moment(text.deleted_at),
        reactions=[] if text.is_deleted else _reactions(text),
    )


def created(logged: Logged, hidden: Hidden) -> Message:
    """Return a message as it was when it was created, but nothing of what it said if it was deleted since."""
    shown = message(fresh(logged.record), hidden)
    if logged.deleted_at is None:
        return shown
    return replace(shown, content="", is_deleted=True, deleted_at=rfc3339(logged.deleted_at))


def revised(text: Folded, revision: Record, hidden: Hidden) -> Message:
    """Return a message as a revision left it, with the reactions that it has now."""
    shown = replace(
        message(text, hidden),
        revision=int((revision.details or {})["revision"]),
        edited_at=rfc3339(revision.created_at),
    )
    return shown if text.is_deleted else replace(shown, content=revision.content or "")


def own(shown: Message, user_id: str, others: Others) -> Message:
    """Add how far one's own message has come; those of others stay as they are."""
    return replace(shown, status=_status(shown.seq, others)) if shown.sender.user_id == user_id else shown


def versions(text: Folded, records: Sequence[Record], first: int, limit: int) -> VersionPage:
    """Return what a message said, revision `first` being the first of `records`; more than `limit` make a next page."""
    items = [
        Version(number, record.seq, "" if text.is_deleted else record.content or "", rfc3339(record.created_at))
        for number, record in enumerate(records[:limit], first)
    ]
    return VersionPage(items, encode_cursor(items[-1].revision) if len(records) > limit else None)


def log_record(logged: Logged, hidden: Hidden) -> LogRecord:
    """Return a record as it was appended, but nothing of what a deleted message said."""
    record = logged.record
    content = record.content if logged.deleted_at is None else ""
    return LogRecord(
        channel_id=record.channel_id,
        seq=record.seq,
        id=record.id,
        kind=record.kind,
        sender=_sender(record, hidden),
        target_id=UNSET if record.target_id is None else record.target_id,
        client_id=UNSET if record.client_id is None else record.client_id,
        content=UNSET if content is None else content,
        content_type=UNSET if content is None else "text/plain",
        details=UNSET if record.details is None else record.details,
        created_at=rfc3339(record.created_at),
        hash=record.hash.hex(),
    )


def _reactions(text: Folded) -> list[Reaction]:
    """In the order in which they came; the database keeps none."""
    by_age = sorted(text.reactions.items(), key=lambda one: min(one[1].values()))
    return [Reaction(emoji, sorted(users, key=users.__getitem__)) for emoji, users in by_age]


def _status(seq: int, others: Others) -> Literal["sent", "delivered", "read"]:
    if seq <= others.read:
        return "read"
    return "delivered" if seq <= others.delivered else "sent"


def _moment(at: datetime | None) -> str | UnsetType:
    return UNSET if at is None else rfc3339(at)


def _sender(record: Record, hidden: Hidden) -> Sender | None:
    if record.sender_id is None:
        return None
    now = hidden.get(record.sender_id)
    if now is not None:
        return Sender(record.sender_id, now.username, now.display_name)
    return Sender(record.sender_id, record.sender_username or "", record.sender_display_name or "")
