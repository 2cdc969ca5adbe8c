"""What every event has. A module's published events live in its `events.py` and derive from `Event`."""

from datetime import datetime
from uuid import UUID

import msgspec

from kernel.clock import now
from kernel.ids import new_id


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Something that happened. Subclasses name themselves: `class X(Event, frozen=True, tag="area.thing.done")`."""

    event_id: UUID = msgspec.field(default_factory=new_id)
    occurred_at: datetime = msgspec.field(default_factory=now)


def event_name(kind: type[Event]) -> str:
    """Return the name that an event type is published under."""
    return str(kind.__struct_config__.tag)
