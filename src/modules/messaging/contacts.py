"""Whom somebody may bring into a channel."""

from collections.abc import Collection, Mapping

from kernel.errors import FieldError, MalformedError, ParleyError
from modules.messaging.errors import NotContactsError
from modules.messaging.ports import Contacts, People


class Anybody:
    """Contacts where the host decides who meets whom: everybody is everybody's."""

    async def contacts_of(self, user_id: str, others: Collection[str]) -> Collection[str]:  # noqa: ARG002
        """Return them all."""
        return others


class Nobody:
    """Contacts where there are none yet."""

    async def contacts_of(self, user_id: str, others: Collection[str]) -> Collection[str]:  # noqa: ARG002
        """Return none."""
        return ()


class Acquaintance:
    """The contact rule."""

    def __init__(self, people: People, contacts: Contacts) -> None:
        self._people = people
        self._contacts = contacts

    async def refusal(self, user_id: str, others: Mapping[str, str]) -> ParleyError | None:
        """Return why somebody may not bring others into a channel; None when they may.

        Who isn't a contact and who doesn't exist look exactly alike: only of contacts is it told that they are gone.

        Args:
            user_id: who asks.
            others: by the pointers to where they are named.
        """
        contacts = set(await self._contacts.contacts_of(user_id, list(others.values())))
        strangers = [FieldError(at, "not among your contacts") for at, other in others.items() if other not in contacts]
        if strangers:
            return NotContactsError(errors=strangers)
        people = await self._people.find(list(others.values()))
        gone = [at for at, other in others.items() if other not in people or not people[other].active]
        if gone:
            return MalformedError("Some people are unknown", errors=[FieldError(at, "unknown user") for at in gone])
        return None
