"""What messaging needs from others. Wired by `app`; nothing here is imported from them."""

from collections.abc import Collection, Mapping
from typing import Protocol


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
