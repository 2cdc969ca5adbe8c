"""Texts for invitations, kept by admins and by the host."""

from collections.abc import Collection, Mapping

from kernel.clock import rfc3339
from kernel.cursors import decode_cursor, encode_cursor
from kernel.database import Database
from kernel.errors import malformed_field
from modules.contacts.domain.templates import text_problem
from modules.contacts.errors import TemplateNotFoundError
from modules.contacts.schemas.templates import Template, TemplateName, TemplatePage
from modules.contacts.store import templates as store
from modules.contacts.store.templates import StoredTemplate


class Templates:
    """Keeps templates. What was invited with one stays as it was said."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, name: str, text: str) -> tuple[Template, bool]:
        """Make or replace one; returns it, and whether it is new.

        Raises:
            MalformedError: its braces aren't places that are filled in.
        """
        problem = text_problem(text)
        if problem is not None:
            raise malformed_field("/text", problem)
        async with self._database.transaction() as tx:
            stored, is_new = await store.put(tx.connection, name, text)
        return _view(stored), is_new

    async def get(self, name: str) -> Template:
        """Return one.

        Raises:
            TemplateNotFoundError: there is none.
        """
        async with self._database.connection() as connection:
            found = await store.get(connection, name)
        if found is None:
            raise TemplateNotFoundError
        return _view(found)

    async def page(self, *, limit: int, cursor: str | None) -> TemplatePage:
        """Return them by name.

        Raises:
            MalformedError: the cursor isn't one that was given out.
        """
        after = None if cursor is None else decode_cursor(cursor, TemplateName)
        async with self._database.connection() as connection:
            found = await store.page(connection, after, limit + 1)
        shown = found[:limit]
        following = encode_cursor(shown[-1].name) if len(found) > limit else None
        return TemplatePage([_view(template) for template in shown], following)

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


def _view(template: StoredTemplate) -> Template:
    return Template(name=template.name, text=template.text, updated_at=rfc3339(template.updated_at))
