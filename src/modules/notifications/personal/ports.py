"""What the personal socket needs from others. Wired by `app`; nothing here is imported from them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

Pair: TypeAlias = tuple[str, UUID]
"""Somebody, and a channel."""


class Unread(Protocol):
    """What somebody has yet to read in a channel, and altogether."""

    @property
    def user_id(self) -> str:
        """Who."""
        ...

    @property
    def channel_id(self) -> UUID:
        """Where."""
        ...

    @property
    def unread_count(self) -> int:
        """Unread messages of the channel."""
        ...

    @property
    def total_unread(self) -> int:
        """Unread messages of all their channels."""
        ...

    @property
    def sender_id(self) -> str | None:
        """Who sent the newest unread message of the channel; None where nothing is unread."""
        ...

    @property
    def message_id(self) -> UUID | None:
        """Its id."""
        ...

    @property
    def created_at(self) -> datetime | None:
        """When it was sent."""
        ...


class Counts(Protocol):
    """What is unread (messaging). Each call is one query."""

    async def unread(self, pairs: Collection[Pair]) -> Sequence[Unread]:
        """Return what these people have yet to read in these channels."""
        ...

    async def changed(self, user_ids: Collection[str], since: datetime) -> Sequence[Pair]:
        """Return the (user, channel) of these people of which the counts may have changed since then."""
        ...

    async def members(self, channels: Collection[UUID]) -> Sequence[Pair]:
        """Return (user, channel) of everybody who takes part in these channels."""
        ...


class Contacts(Protocol):
    """Who knows whom (contacts)."""

    async def all_contacts(self, user_id: str) -> Collection[str]:
        """Return every contact of somebody."""
        ...


class Person(Protocol):
    """Somebody who may be told something."""

    @property
    def active(self) -> bool:
        """False once deactivated."""
        ...


class People(Protocol):
    """Who there is (identity)."""

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those who exist, deactivated ones included; unknown ids are absent."""
        ...
