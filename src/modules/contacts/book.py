"""The book: who is whose contact, for whoever asks. Answers are the database's, as of now."""

from collections.abc import Collection

from kernel.database import Database
from modules.contacts.store import book as store


class Book:
    """Reads; what changes it is `service.lifecycle` and `service.blocking`. Each call is one query."""

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
