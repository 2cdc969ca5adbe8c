"""What messaging needs from others. Wired by `app`; nothing here is imported from them."""

from collections.abc import Collection, Mapping
from typing import Protocol

from realtime.presence.port import Status


class Person(Protocol):
    """A person as messages name them."""

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


class People(Protocol):
    """Names of people, from memory where possible: it stands in the path of every message."""

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those who exist, deactivated ones included; unknown ids are absent."""
        ...


class Contacts(Protocol):
    """Who knows whom: direct and group channels are only among contacts."""

    async def contacts_of(self, user_id: str, others: Collection[str]) -> Collection[str]:
        """Return those of `others` who are contacts of this person."""
        ...


class Presence(Protocol):
    """Who is there."""

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, Status]:
        """Return whether each person is there."""
        ...
