"""Who is meant by pins and ids, before the transaction: their names, and what messaging says of the channels.

Guarantees:
- Nobody by that pin or id, somebody deactivated, oneself, and whoever has blocked the caller are found by the same
  queries, and are the same afterwards: nobody.
- Of an id that the caller has blocked nothing is told but that, not even whether there is anybody: else ids could be
  walked by blocking them first, unnoticed and for nothing.
"""

from collections.abc import Mapping, Sequence

import msgspec

from kernel.database import Database
from kernel.errors import ParleyError
from modules.contacts.domain.judging import Facts, Wish
from modules.contacts.errors import BlockedByYouError, PersonNotFoundError
from modules.contacts.ports import Admission, Channels, People, Proposal
from modules.contacts.schemas.inviting import PostInvite
from modules.contacts.service.naming import Names, people_of
from modules.contacts.store import facts

NO_ID = ""
"""Nobody has this id. It is asked for beside the others, so that the directory always asks the database, once."""


class Found(msgspec.Struct, frozen=True):
    """What was found: for each entry the wish, or why there is none; and the names of all whom it is about."""

    wishes: Sequence[Wish | ParleyError]
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
        present = [_present(wish, names, known) for wish in wishes]
        return Found(await self._admitted(entries, present), names)

    async def _ids(self, entries: Sequence[PostInvite]) -> list[str | None]:
        pins = [entry.connect_pin for entry in entries if entry.connect_pin is not None]
        by_pin: Mapping[str, str] = await self._people.by_pins(pins) if pins else {}
        return [entry.user_id if entry.connect_pin is None else by_pin.get(entry.connect_pin) for entry in entries]

    async def _facts(self, user_id: str, wishes: Sequence[Wish]) -> Facts:
        async with self._database.connection() as connection:
            return await facts.about(connection, user_id, wishes)

    async def _admitted(
        self, entries: Sequence[PostInvite], wishes: Sequence[Wish | ParleyError]
    ) -> list[Wish | ParleyError]:
        """Add what messaging says to those that are about channels."""
        asked = {
            index: Proposal(wish.invitor_id, wish.channel_id, wish.invitee_id, entry.channel_role or "member")
            for index, (entry, wish) in enumerate(zip(entries, wishes, strict=True))
            if isinstance(wish, Wish) and wish.channel_id is not None
        }
        answers = await self._channels.admissions(list(asked.values())) if asked else []
        admissions = dict(zip(asked, answers, strict=True))
        return [_admitted(wish, admissions.get(index)) for index, wish in enumerate(wishes)]


def _admitted(wish: Wish | ParleyError, admission: Admission | None) -> Wish | ParleyError:
    return msgspec.structs.replace(wish, admission=admission) if isinstance(wish, Wish) else wish


def _wish(user_id: str, entry: PostInvite, invitee_id: str | None) -> Wish | None:
    return None if invitee_id in {None, user_id} else Wish(user_id, str(invitee_id), entry.channel_id)


def _present(wish: Wish | None, names: Names, known: Facts) -> Wish | ParleyError:
    if wish is None:
        return PersonNotFoundError()
    standing = known.standings[wish.invitee_id]
    if standing.blocks:
        return BlockedByYouError()
    person = names.get(wish.invitee_id)
    is_there = person is not None and person.active and not standing.is_blocked
    return wish if is_there else PersonNotFoundError()
