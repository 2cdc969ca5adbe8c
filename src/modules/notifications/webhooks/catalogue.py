"""Which events the host can receive, under which names, and what is sent of each.

What is published (schemas, examples) and what is sent are made from the same Structs, which are made from the events'
own: a new type is one entry in `PUBLISHED`.
"""

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal
from uuid import UUID

import msgspec

from bus import Event, event_name
from kernel.clock import Timestamp, rfc3339
from modules.contacts.events import (
    ContactAdded,
    ContactRemoved,
    InviteAccepted,
    InviteCreated,
    InviteDeclined,
    InviteExpired,
    InviteReminded,
    InviteRevoked,
)
from modules.identity.events import UserDeactivated, UserUpdated
from modules.messaging.events import (
    ChannelRead,
    MessageCreated,
    MessageDeleted,
    MessageRevised,
    ParticipantJoined,
    ParticipantLeft,
)
from modules.notifications.events import DeliveryChanged

PUBLISHED: tuple[type[Event], ...] = (
    MessageCreated,
    MessageRevised,
    MessageDeleted,
    ParticipantJoined,
    ParticipantLeft,
    ChannelRead,
    InviteCreated,
    InviteAccepted,
    InviteDeclined,
    InviteRevoked,
    InviteExpired,
    InviteReminded,
    ContactAdded,
    ContactRemoved,
    UserUpdated,
    UserDeactivated,
    DeliveryChanged,
)
"""Every type that a webhook may subscribe to."""

ANY = ".*"


class WebhookTest(Event, frozen=True, tag="webhook.test"):
    """Somebody asked for a test. Sent to that webhook only, whatever it subscribes to, once, and not in its log."""

    webhook_id: UUID


def names() -> list[str]:
    """Return the names of all types."""
    return [event_name(kind) for kind in PUBLISHED]


def matches(pattern: str, event_type: str) -> bool:
    """Whether a pattern, a name or `area.*`, stands for a type."""
    return pattern == event_type or (pattern.endswith(ANY) and event_type.startswith(pattern[:-1]))


def wanted(patterns: Iterable[str]) -> frozenset[str]:
    """Return the names of the types that any of the patterns stands for."""
    patterns = tuple(patterns)
    return frozenset(name for name in names() if any(matches(pattern, name) for pattern in patterns))


def description(kind: type[Event]) -> str:
    """Return what the event reports."""
    return inspect.getdoc(kind) or event_name(kind)


@cache
def payload_type(kind: type[Event]) -> type[msgspec.Struct]:
    """Return the Struct that is sent of such events: `type`, `timestamp` and `data`, the event's own fields."""
    own = [field for field in msgspec.structs.fields(kind) if field.name != "occurred_at"]
    own.sort(key=lambda field: field.name != "event_id")
    data = msgspec.defstruct(
        f"{kind.__name__}Data",
        [_required(field) for field in own],
        namespace={"__doc__": description(kind)},
        kw_only=True,
        frozen=True,
    )
    named: Any = Literal[event_name(kind)]  # made at run time
    return msgspec.defstruct(
        f"{kind.__name__}Payload",
        [("type", named), ("timestamp", Timestamp), ("data", data)],
        namespace={"__doc__": f"`{event_name(kind)}`, as it is posted. `timestamp`: when it happened."},
        kw_only=True,
        frozen=True,
    )


def payload(event: Event) -> bytes:
    """Return the body that is posted of an event."""
    sent: Any = payload_type(type(event))
    data: Any = sent.__annotations__["data"]
    own = {name: getattr(event, name) for name in data.__struct_fields__}
    named = event_name(type(event))
    return msgspec.json.encode(sent(type=named, timestamp=rfc3339(event.occurred_at), data=data(**own)))


def _required(field: msgspec.structs.FieldInfo) -> tuple[str, Any]:
    """Every field is always sent, null where there is nothing."""
    return field.name, field.type
