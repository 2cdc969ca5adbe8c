"""What is asked of the writer, and what comes back."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID

import msgspec

from kernel.errors import ParleyError
from modules.messaging.fold import Folded
from modules.messaging.log.record import Record
from modules.messaging.ports import Person
from modules.messaging.store.marks import NOBODY_YET, Others


class ContextKey(NamedTuple):
    """A host's context."""

    context_type: str
    context_id: str


class Stored(msgspec.Struct, frozen=True):
    """A record that is durable. `repeated`: it was before, under the same client_id.

    `folded` is the message as that record left it; of a new text there is nothing to fold. `others`: how far others
    have come where the message is the asker's own.
    """

    record: Record
    repeated: bool = False
    folded: Folded | None = None
    others: Others = NOBODY_YET


class Unchanged(msgspec.Struct, frozen=True):
    """What was asked for is so already: nothing was appended. `others` as in `Stored`."""

    folded: Folded
    others: Others = NOBODY_YET


Written: TypeAlias = Stored | Unchanged
Outcome: TypeAlias = Written | ParleyError
Settle: TypeAlias = Callable[[Outcome], None]


class Send(msgspec.Struct, frozen=True, eq=False):
    """One message on its way. `settle` is called exactly once, after the commit or the refusal."""

    target: UUID | ContextKey
    sender: Person
    client_id: str
    content: str
    settle: Settle
    origin: object | None = None
    """The socket that it came by: its answer takes the place of the live frame there."""


class Revise(msgspec.Struct, frozen=True):
    """Give the message another content."""

    client_id: str
    content: str


class Delete(msgspec.Struct, frozen=True):
    """Hide the message."""


class React(msgspec.Struct, frozen=True):
    """Put an emoji on the message, or take it away."""

    emoji: str
    removed: bool = False


Action: TypeAlias = Revise | Delete | React


class Change(msgspec.Struct, frozen=True, eq=False):
    """Something that is to happen to a message; otherwise as `Send`."""

    message_id: UUID
    sender: Person
    action: Action
    settle: Settle
    origin: object | None = None

    @property
    def client_id(self) -> str | None:
        """The client's name for what it creates, if it creates something."""
        return self.action.client_id if isinstance(self.action, Revise) else None


Request: TypeAlias = Send | Change


class Announcer(Protocol):
    """Is told what was committed, in the order of the log; must not block."""

    def opened(self, channel_id: UUID, user_ids: Iterable[str]) -> None:
        """A channel was made, with these participants."""
        ...

    def announce(self, record: Record, folded: Folded | None = None, origin: object | None = None) -> None:
        """A record was appended; `folded` is the message that it changed, `origin` the socket that it came by."""
        ...
