"""Texts for invitations, kept by admins and by the host."""

from collections.abc import Collection, Mapping

from kernel.database import Database
from kernel.errors import malformed_field
from modules.contacts.domain.templates import text_problem
from modules.contacts.errors import TemplateNotFoundError
from modules.contacts.store import templates as store
from modules.contacts.store.templates import StoredTemplate


class Templates:
    """Keeps templates. What was invited with one stays as it was said."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, name: str, text: str) -> tuple[StoredTemplate, bool]:
        """Make or replace one; returns it, and whether it is new.

        Raises:
            MalformedError: its braces aren't places that are filled in.
        """
        problem = text_problem(text)
        if problem is not None:
            raise malformed_field("/text", problem)
        async with self._database.transaction() as tx:
            return await store.put(tx.connection, name, text)

    async def get(self, name: str) -> StoredTemplate:
        """Return one.

        Raises:
            TemplateNotFoundError: there is none.
        """
        async with self._database.connection() as connection:
            found = await store.get(connection, name)
        if found is None:
            raise TemplateNotFoundError
        return found

    async def listing(self, *, after: str | None, limit: int) -> list[StoredTemplate]:
        """Return them by name, from the one after `after`."""
        async with self._database.connection() as connection:
            return await store.listing(connection, after=after, limit=limit)

    async def texts(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the texts of those that there are, in one query."""
        async with self._database.connection() as connection:
            return await store.texts(connection, names)

    async def delete(self, name: str) -> None:
        """Delete one.

        Raises:
            TemplateNotFoundError: there is none.
        """
        async with self._database.transaction() as tx:
            if not await store.delete(tx.connection, name):
                raise TemplateNotFoundError
