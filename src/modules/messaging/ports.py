"""What messaging needs from others. Wired by `app`; nothing here is imported from them."""

from collections.abc import Collection, Mapping
from typing import Protocol

from kernel.database import Transaction
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


class Standing(Protocol):
    """How two people stand to each other."""

    @property
    def is_contact(self) -> bool:
        """Whether they are contacts."""
        ...

    @property
    def is_blocked(self) -> bool:
        """Whether one of them blocks the other."""
        ...


class Acquaintances(Protocol):
    """Who knows whom (contacts)."""

    async def contacts_of(self, user_id: str, others: Collection[str]) -> Collection[str]:
        """Return those of `others` who are contacts of this person."""
        ...


class Contacts(Acquaintances, Protocol):
    """Who knows whom, and who wants to hear nothing of whom (contacts)."""

    async def blocked_of(self, user_id: str, others: Collection[str]) -> Collection[str]:
        """Return those of `others` who have blocked this person, or are blocked by them."""
        ...

    async def settle(self, tx: Transaction, user_id: str, other: str) -> Standing:
        """Return how two people stand to each other, which stays so until the end of `tx`.

        To be called before anything of the two, such as their channel, is locked.
        """
        ...


class Presence(Protocol):
    """Who is there."""

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, Status]:
        """Return whether each person is there."""
        ...
