"""One's contacts: the list, whether somebody is among them, and taking somebody out of it."""

from collections.abc import Collection, Sequence

from kernel.clock import rfc3339
from kernel.database import Database
from modules.contacts.book import Book
from modules.contacts.domain.pairs import pair_of
from modules.contacts.errors import ContactNotFoundError
from modules.contacts.ports import People
from modules.contacts.schemas.contacts import ContactPage, ContactUser, ContactView
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.places import cursor_of, place_of
from modules.contacts.store import contacts as store
from modules.contacts.store import pairs
from modules.contacts.store.contacts import Since


class Contacts:
    """Shows and ends contacts."""

    def __init__(self, database: Database, book: Book, people: People, lifecycle: Lifecycle) -> None:
        self._database = database
        self._book = book
        self._people = people
        self._lifecycle = lifecycle

    async def page(self, user_id: str, q: str | None, *, limit: int, cursor: str | None) -> ContactPage:
        """Return contacts, newest first; with `q` those whose username or display name contains it, whatever its case.

        Raises:
            MalformedError: the cursor isn't one that was given out.
        """
        after = place_of(cursor)
        among = None if q is None else await self._matching(user_id, q)
        async with self._database.connection() as connection:
            found = await store.page(connection, user_id, after, limit + 1, among)
        shown = found[:limit]
        following = cursor_of(shown[-1].user_id, shown[-1].since) if len(found) > limit else None
        return ContactPage(await self._views(shown), following)

    async def remove(self, user_id: str, other: str) -> None:
        """End being contacts, for both; each keeps what they wrote to each other, and may invite the other again.

        Raises:
            ContactNotFoundError: they aren't contacts.
        """
        names = await self._people.find([user_id, other])
        pair = pair_of(user_id, other)
        async with self._database.transaction() as tx:
            await pairs.lock(tx.connection, [pair])
            if not await self._lifecycle.part(tx, [pair], names):
                raise ContactNotFoundError

    async def check(self, user_id: str, others: Sequence[str]) -> dict[str, bool]:
        """Return whether each is a contact of this person, in one query; oneself and who isn't there never are."""
        contacts = set(await self._book.contacts_of(user_id, others))
        return {other: other in contacts for other in others}

    async def check_usernames(self, user_id: str, usernames: Sequence[str]) -> dict[str, bool]:
        """Return the same by usernames, whatever their case: as many queries whether they are there or not."""
        known = await self._people.by_usernames(usernames)
        contacts = set(await self._book.contacts_of(user_id, set(known.values())))
        return {name: known.get(name) in contacts for name in usernames}

    async def _matching(self, user_id: str, q: str) -> Collection[str]:
        return await self._people.matching(await self._book.all_contacts(user_id), q)

    async def _views(self, found: Sequence[Since]) -> list[ContactView]:
        people = await self._people.find([one.user_id for one in found])
        return [
            ContactView(
                ContactUser(
                    user_id=person.user_id,
                    username=person.username,
                    display_name=person.display_name,
                    avatar_url=person.avatar_url,
                ),
                rfc3339(one.since),
            )
            for one in found
            if (person := people.get(one.user_id)) is not None
        ]
