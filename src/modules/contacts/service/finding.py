"""Who is meant by pins and ids, before the transaction: their names, and what messaging says of the channels.

Guarantee: nobody by that pin or id, somebody deactivated, oneself, and whoever has blocked the caller are found by the
same queries, and are the same afterwards: nobody.
"""

from collections.abc import Mapping, Sequence

import msgspec

from kernel.database import Database
from modules.contacts.domain.judging import Facts, Wish
from modules.contacts.ports import Admission, Channels, People, Proposal
from modules.contacts.schemas.inviting import PostInvite
from modules.contacts.service.naming import Names, people_of
from modules.contacts.store import facts

NO_ID = ""
"""Nobody has this id. It is asked for beside the others, so that the directory always asks the database, once."""


class Found(msgspec.Struct, frozen=True):
    """What was found: for each entry the wish, or None for nobody; and the names of all whom it is about."""

    wishes: Sequence[Wish | None]
    names: Names


class Finding:
    """Looks up whom entries are about: a constant number of queries, whatever their number."""

    def __init__(self, database: Database, people: People, channels: Channels) -> None:
        self._database = database
        self._people = people
        self._channels = channels

    async def find(self, user_id: str, entries: Sequence[PostInvite]) -> Found:
        """Return whom the entries of somebody are about."""
        ids = await self._ids(entries)
        wishes = [_wish(user_id, entry, invitee_id) for entry, invitee_id in zip(entries, ids, strict=True)]
        known = await self._facts(user_id, [wish for wish in wishes if wish is not None])
        wanted = {wish.invitee_id for wish in wishes if wish is not None}
        names = await self._people.find({user_id, NO_ID, *wanted, *people_of(known.pending)})
        present = [wish if wish is not None and _is_there(wish, names, known) else None for wish in wishes]
        return Found(await self._admitted(entries, present), names)

    async def _ids(self, entries: Sequence[PostInvite]) -> list[str | None]:
        pins = [entry.connect_pin for entry in entries if entry.connect_pin is not None]
        by_pin: Mapping[str, str] = await self._people.by_pins(pins) if pins else {}
        return [entry.user_id if entry.connect_pin is None else by_pin.get(entry.connect_pin) for entry in entries]

    async def _facts(self, user_id: str, wishes: Sequence[Wish]) -> Facts:
        async with self._database.connection() as connection:
            return await facts.about(connection, user_id, wishes)

    async def _admitted(self, entries: Sequence[PostInvite], wishes: Sequence[Wish | None]) -> list[Wish | None]:
        """Add what messaging says to those that are about channels."""
        asked = {
            index: Proposal(wish.invitor_id, wish.channel_id, wish.invitee_id, entry.channel_role or "member")
            for index, (entry, wish) in enumerate(zip(entries, wishes, strict=True))
            if wish is not None and wish.channel_id is not None
        }
        answers = await self._channels.admissions(list(asked.values())) if asked else []
        admissions = dict(zip(asked, answers, strict=True))
        return [_admitted(wish, admissions.get(index)) for index, wish in enumerate(wishes)]


def _admitted(wish: Wish | None, admission: Admission | None) -> Wish | None:
    return None if wish is None else msgspec.structs.replace(wish, admission=admission)


def _wish(user_id: str, entry: PostInvite, invitee_id: str | None) -> Wish | None:
    return None if invitee_id in {None, user_id} else Wish(user_id, str(invitee_id), entry.channel_id)


def _is_there(wish: Wish, names: Names, known: Facts) -> bool:
    person = names.get(wish.invitee_id)
    return person is not None and person.active and not known.standings[wish.invitee_id].is_blocked
