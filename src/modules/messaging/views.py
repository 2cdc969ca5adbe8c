"""From records to what clients see."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET

from kernel.clock import rfc3339
from modules.messaging.log.record import Record
from modules.messaging.ports import People, Person
from modules.messaging.schemas import LogRecord, Message, Sender


async def pseudonyms(people: People, records: Iterable[Record]) -> Mapping[str, Person]:
    """Return those among the records' senders who were deactivated since: their names are shown no more."""
    known = await people.find({record.sender_id for record in records if record.sender_id})
    return {user: person for user, person in known.items() if not person.active}


def message(record: Record, hidden: Mapping[str, Person]) -> Message:
    """Return the message that a text record is."""
    return Message(
        id=record.id,
        channel_id=record.channel_id,
        seq=record.seq,
        sender=_sender(record, hidden) or Sender("", "", ""),
        content=record.content or "",
        client_id=record.client_id or "",
        created_at=rfc3339(record.created_at),
    )


def log_record(record: Record, hidden: Mapping[str, Person]) -> LogRecord:
    """Return a record as it was appended."""
    return LogRecord(
        channel_id=record.channel_id,
        seq=record.seq,
        id=record.id,
        kind=record.kind,
        sender=_sender(record, hidden),
        target_id=UNSET if record.target_id is None else record.target_id,
        client_id=UNSET if record.client_id is None else record.client_id,
        content=UNSET if record.content is None else record.content,
        content_type=UNSET if record.content is None else "text/plain",
        details=UNSET if record.details is None else record.details,
        created_at=rfc3339(record.created_at),
        hash=record.hash.hex(),
    )


def _sender(record: Record, hidden: Mapping[str, Person]) -> Sender | None:
    if record.sender_id is None:
        return None
    now = hidden.get(record.sender_id)
    if now is not None:
        return Sender(record.sender_id, now.username, now.display_name)
    return Sender(record.sender_id, record.sender_username or "", record.sender_display_name or "")
