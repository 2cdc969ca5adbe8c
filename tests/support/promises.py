"""What talkers were promised, held against the log."""

from collections.abc import Iterable, Iterator

from modules.messaging.log.record import Record
from tests.support.chat import Frame
from tests.support.log import Log
from tests.support.talker import Talker


def broken_promises(log: Log, talkers: Iterable[Talker]) -> list[str]:
    """Return what talkers were told that the log doesn't bear out, and what they weren't told."""
    return [fault for talker in talkers for fault in _broken(log, talker)]


def _broken(log: Log, talker: Talker) -> Iterator[str]:
    stored = {record.client_id: record for record in log.records if record.client_id}
    for client_id, acks in talker.acks.items():
        if any((ack["seq"], ack["message"]["id"]) != _place(stored.get(client_id)) for ack in acks):
            yield f"lost: {client_id} was acknowledged at {acks[0]['seq']}"
    for frame in talker.frames:
        if not is_true(log, frame):
            yield f"untrue: {frame['type']} {frame['seq']} to {talker.name}"
    if [record.seq for record in talker.accepted] != list(range(1, log.last_seq + 1)):
        yield f"missing: {talker.name} has {talker.last_seq} of {log.last_seq}"
    own = [r.content or "" for r in log.records if (r.client_id or "").startswith(f"{talker.name}-")]
    if own != [f"{talker.name} says {n} ✓" for n in range(1, len(own) + 1)]:
        yield f"disorder: what {talker.name} said"


def is_true(log: Log, frame: Frame) -> bool:
    """Whether a durable frame or an acknowledgement says exactly what is stored."""
    if frame["channel_id"] != log.channel_id or not 1 <= frame["seq"] <= len(log.records):
        return False
    expected = log.frame(frame["seq"])
    if frame["type"] == "ack":
        return bool(frame["message"] == expected.get("message", {}) | {"status": "sent"})
    return frame == expected


def _place(record: Record | None) -> tuple[int, str] | None:
    return None if record is None else (record.seq, str(record.id))
