"""What contacts need from others. Wired by `app`; nothing here is imported from them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from kernel.database import Transaction
from kernel.errors import ParleyError


class Person(Protocol):
    """A person, as others see them."""

    @property
    def user_id(self) -> str:
        """The host's id."""
        ...

    @property
    def username(self) -> str:
        """Unique name; of somebody deactivated, a pseudonym."""
        ...

    @property
    def display_name(self) -> str:
        """Name to show; of somebody deactivated, a pseudonym."""
        ...

    @property
    def active(self) -> bool:
        """False once deactivated."""
        ...


class Portrayed(Person, Protocol):
    """A person, with their picture."""

    @property
    def avatar_url(self) -> str | None:
        """Where the picture is."""
        ...


class People(Protocol):
    """Names of people (identity). Each call is at most one query."""

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Portrayed]:
        """Return those who exist, deactivated ones included; unknown ids are absent."""
        ...

    async def by_pins(self, pins: Collection[str]) -> Mapping[str, str]:
        """Return the user ids of active people by the pins asked for, as they were written; unknown ones are absent."""
        ...

    async def by_usernames(self, usernames: Collection[str]) -> Mapping[str, str]:
        """Return the user ids of active people by the names asked for, whatever their case; unknown ones are absent."""
        ...

    async def matching(self, user_ids: Collection[str], text: str) -> Collection[str]:
        """Return those of these people whose username or display name contains a text, whatever its case."""
        ...


class Proposal(msgspec.Struct, frozen=True):
    """Somebody wants to invite somebody into a channel, in a role."""

    invitor_id: str
    channel_id: UUID
    invitee_id: str
    role: str


class Admission(Protocol):
    """Whether that can be."""

    @property
    def refusal(self) -> ParleyError | None:
        """Why not: no such channel or not the invitor's, not theirs to add to, archived, full. None: it can be."""
        ...

    @property
    def title(self) -> str | None:
        """The channel's title."""
        ...

    @property
    def is_member(self) -> bool:
        """Whether the invitee is in the channel already."""
        ...


class Channels(Protocol):
    """Who may bring whom into a channel (messaging). One query."""

    async def admissions(self, proposals: Sequence[Proposal]) -> Sequence[Admission]:
        """Return whether each could be added now, in the order asked."""
        ...


class Directs(Protocol):
    """Direct channels follow from who may talk to whom (messaging)."""

    async def open(self, tx: Transaction, pairs: Collection[tuple[str, str]]) -> None:
        """Let these pairs write again in the direct channels that they have, from the commit of `tx` on."""
        ...

    async def close(self, tx: Transaction, pairs: Collection[tuple[str, str]]) -> None:
        """Let these pairs no longer write in the direct channels that they have, from the commit of `tx` on."""
        ...
