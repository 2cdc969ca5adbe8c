"""What is asked of the writer, and what comes back."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID

import msgspec

from kernel.errors import ParleyError
from modules.messaging.log.record import Record
from modules.messaging.ports import Person


class ContextKey(NamedTuple):
    """A host's context."""

    context_type: str
    context_id: str


class Stored(msgspec.Struct, frozen=True):
    """A message that is durable. `repeated`: it was before, under the same client_id."""

    record: Record
    repeated: bool = False


Outcome: TypeAlias = Stored | ParleyError


class Send(msgspec.Struct, frozen=True, eq=False):
    """One message on its way. `settle` is called exactly once, after the commit or the refusal."""

    target: UUID | ContextKey
    sender: Person
    client_id: str
    content: str
    settle: Callable[[Outcome], None]
    origin: object | None = None
    """The socket that it came by: its answer takes the place of the live frame there."""


class Announcer(Protocol):
    """Is told what was committed, in the order of the log; must not block."""

    def opened(self, channel_id: UUID, user_ids: Iterable[str]) -> None:
        """A channel was made, with these participants."""
        ...

    def announce(self, record: Record, origin: object | None = None) -> None:
        """A record was appended; `origin` is the socket that it came by."""
        ...
