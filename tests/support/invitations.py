"""Invitations that are there already, as if they had been made over HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kernel.clock import now
from kernel.database import Database
from kernel.ids import new_id
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.store import invites as rows


def invitation(invitor: str, invitee: str, **fields: Any) -> StoredInvite:
    """Return one that is pending, by default of a contact and for a day."""
    made_at: datetime = fields.setdefault("created_at", now())
    given = {"kind": "channel" if "channel_id" in fields else "contact", "metadata": {}} | fields
    if given["kind"] == "channel":
        given.setdefault("channel_role", "member")
    given.setdefault("expires_at", made_at + timedelta(days=1))
    return StoredInvite(id=new_id(), invitor_id=invitor, invitee_id=invitee, **given)


class Invitations:
    """Makes invitations, and looks at what became of them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def make(self, *invites: StoredInvite) -> list[UUID]:
        """Write pending ones; returns their ids."""
        async with self.database.transaction() as tx:
            await rows.create(tx.connection, invites)
        return [invite.id for invite in invites]

    async def one(self, invitor: str, invitee: str, **fields: Any) -> str:
        """Write one; returns its id."""
        [made] = await self.make(invitation(invitor, invitee, **fields))
        return str(made)

    async def end(self, invite_id: str, status: Any, by: str | None, at: datetime | None = None) -> None:
        """End one without telling anybody."""
        async with self.database.transaction() as tx:
            assert await rows.close(tx.connection, [UUID(invite_id)], status, at or now(), by)

    async def fetch(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Read what is stored."""
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def ends(self, invite_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the last statuses that the history has of each; more than one is never right."""
        query = "SELECT invite_id, status FROM contact_invite_history WHERE invite_id = ANY($1::uuid[])"
        found: dict[str, list[str]] = {one: [] for one in invite_ids}
        for invite_id, status in await self.fetch(query, list(map(UUID, invite_ids))):
            found[str(invite_id)] += [status] if status != "pending" else []
        return found

    async def are_contacts(self, one: str, other: str) -> bool:
        """Whether two people are contacts."""
        query = "SELECT true FROM contact_pairs WHERE low_id = least($1, $2) AND high_id = greatest($1, $2)"
        return bool(await self.fetch(query, one, other))


@asynccontextmanager
async def invitations(dsn: str) -> AsyncIterator[Invitations]:
    """Open a database to make invitations in."""
    database = await Database.connect(dsn, size=4)
    try:
        yield Invitations(database)
    finally:
        await database.close()
