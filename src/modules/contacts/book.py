"""The book: who is whose contact, for whoever asks. Answers are the database's, as of now."""

from collections.abc import Collection

from kernel.database import Database, Transaction
from modules.contacts.domain.pairs import pair_of
from modules.contacts.store import book as store
from modules.contacts.store import pairs
from modules.contacts.store.book import Standing


class Book:
    """Reads; what changes it is `service.lifecycle` and `service.blocking`. A call is one query, but for `settle`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def contacts_of(self, user_id: str, others: Collection[str]) -> Collection[str]:
        """Return those of `others` who are contacts of this person."""
        async with self._database.connection() as connection:
            return await store.contacts_among(connection, user_id, others)

    async def all_contacts(self, user_id: str) -> Collection[str]:
        """Return every contact of somebody."""
        async with self._database.connection() as connection:
            return await store.contacts(connection, user_id)

    async def blocked_of(self, user_id: str, others: Collection[str]) -> Collection[str]:
        """Return those of `others` who have blocked this person, or are blocked by them."""
        async with self._database.connection() as connection:
            return await store.blocked_among(connection, user_id, others)

    async def settle(self, tx: Transaction, user_id: str, other: str) -> Standing:
        """Return how two people stand to each other, which stays so until the end of the transaction.

        Locks the pair: to be called before anything of the two is locked.
        """
        await pairs.lock(tx.connection, [pair_of(user_id, other)])
        return await store.standing(tx.connection, user_id, other)
