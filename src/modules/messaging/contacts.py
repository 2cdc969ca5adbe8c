"""Whom somebody may bring into a channel."""

from collections.abc import Collection, Mapping

from kernel.database import Transaction
from kernel.errors import FieldError, MalformedError, ParleyError
from modules.messaging.errors import NotContactsError
from modules.messaging.ports import Contacts, People


class Acquaintance:
    """The contact rule: one's contacts; where the host decides who meets whom, everybody between whom there's no block.

    Where contacts are required, who isn't one and who doesn't exist look exactly alike: only of contacts is it told
    that they are gone. Where they aren't, whoever blocks or is blocked looks exactly like somebody who doesn't exist.
    """

    def __init__(self, people: People, contacts: Contacts, *, require_contact: bool) -> None:
        self._people = people
        self._contacts = contacts
        self._require_contact = require_contact

    async def refusal(self, user_id: str, others: Mapping[str, str]) -> ParleyError | None:
        """Return why somebody may not bring others into a channel; None when they may.

        Args:
            user_id: who asks.
            others: by the pointers to where they are named.
        """
        named = list(others.values())
        blocked: Collection[str] = ()
        if self._require_contact:
            contacts = set(await self._contacts.contacts_of(user_id, named))
            strangers = [at for at, other in others.items() if other not in contacts]
            if strangers:
                return _strangers(strangers)
        else:
            blocked = set(await self._contacts.blocked_of(user_id, named))
        people = await self._people.find(named)
        there = {user for user, person in people.items() if person.active and user not in blocked}
        gone = [at for at, other in others.items() if other not in there]
        return _unknown(gone) if gone else None

    async def settled(self, tx: Transaction, user_id: str, at: str, other: str) -> ParleyError | None:
        """Return why two people may not talk to each other directly, as `refusal` does; it stays so until `tx` ends."""
        standing = await self._contacts.settle(tx, user_id, other)
        if self._require_contact:
            return None if standing.is_contact else _strangers([at])
        return _unknown([at]) if standing.is_blocked else None


def _strangers(pointers: Collection[str]) -> ParleyError:
    return NotContactsError(errors=[FieldError(at, "not among your contacts") for at in pointers])


def _unknown(pointers: Collection[str]) -> ParleyError:
    return MalformedError("Some people are unknown", errors=[FieldError(at, "unknown user") for at in pointers])
