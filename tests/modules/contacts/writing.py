"""A lifecycle on a database of its own: what it writes, what it tells, and whose direct channels it changes."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from bus import Bus, Event
from kernel.clock import now
from kernel.database import Database, Transaction
from kernel.ids import new_id
from modules.contacts import events
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import Pair
from modules.contacts.service.lifecycle import Lifecycle
from tests.support.people import Somebody

T0 = now()
NAMES = {user: Somebody(user) for user in ("ana", "ben", "cleo")}


class Directs:
    """Notes which direct channels are opened and closed."""

    def __init__(self) -> None:
        self.done: list[tuple[str, list[Pair]]] = []

    async def open(self, _tx: Transaction, pairs: Collection[Pair]) -> None:
        self.done.append(("open", sorted(pairs)))

    async def close(self, _tx: Transaction, pairs: Collection[Pair]) -> None:
        self.done.append(("close", sorted(pairs)))


class Writing:
    """A lifecycle on a database, and what it told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directs = Directs()
        self.told: list[Event] = []
        bus = Bus()
        kinds: list[type[Event]] = [*events.InviteEvent.__subclasses__(), events.ContactAdded, events.ContactRemoved]
        for kind in kinds:
            bus.on(kind, self.told.append)
        self.lifecycle = Lifecycle(bus, self.directs, require_contact=True)

    async def create(self, *invites: StoredInvite) -> None:
        async with self.database.transaction() as tx:
            await self.lifecycle.create(tx, invites, NAMES)

    async def close(self, status: events.InviteStatus, *invite_ids: UUID) -> list[StoredInvite]:
        async with self.database.transaction() as tx:
            return await self.lifecycle.close(tx, invite_ids, status, NAMES, now=T0, by="ben")

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query)]


def invite(invitor: str = "ana", invitee: str = "ben", **fields: Any) -> StoredInvite:
    """Return an invitation to be made."""
    given: dict[str, Any] = {"kind": "contact", "metadata": {"a": 1}, "created_at": T0} | fields
    return StoredInvite(id=new_id(), invitor_id=invitor, invitee_id=invitee, expires_at=T0 + timedelta(days=1), **given)
