"""People who part, block and look each other up over HTTP; what comes before it is written by the lifecycle."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx

from bus import Bus
from kernel.clock import now
from kernel.database import Database
from kernel.ids import new_id
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import pair_of
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.store import pairs
from modules.identity.directory import Directory
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.membership import Membership
from modules.messaging.service.directs import Directs
from modules.messaging.service.reading import Reading
from realtime.hub import Hub
from tests.support.party import Party


class Circle:
    """What a party's people do with each other; `at` says at which server."""

    def __init__(self, party: Party, database: Database) -> None:
        self.party = party
        self.database = database
        bus = Bus()
        self.directory = Directory(database)
        directs = Directs(Membership(bus, Broadcast(Hub(), Reading(database, self.directory))))
        self.lifecycle = Lifecycle(bus, directs, require_contact=True)

    def call(self, name: str, method: str, path: str, at: int = 0, /, **query: Any) -> httpx.Response:
        """Have somebody ask for something."""
        return self.party.clients[name, at].request(method, f"/api{path}", params=query or None)

    def listed(self, name: str, what: str = "contacts", **query: Any) -> list[str]:
        """Return whom somebody's list shows, by first names where there are any."""
        answer = self.call(name, "GET", f"/{what}", **query).raise_for_status().json()
        ids = [one["user"]["user_id"] for one in answer["items"]]
        return [self.party.names.get(user_id, user_id) for user_id in ids]

    def block(self, name: str, other: str, at: int = 0) -> httpx.Response:
        """Have somebody block another."""
        return self.call(name, "PUT", f"/blocks/{self.party.ids.get(other, other)}", at)

    def unblock(self, name: str, other: str, at: int = 0) -> httpx.Response:
        """Have somebody block another no more."""
        return self.call(name, "DELETE", f"/blocks/{self.party.ids.get(other, other)}", at)

    def remove(self, name: str, other: str, at: int = 0) -> httpx.Response:
        """Have somebody take another out of their contacts."""
        return self.call(name, "DELETE", f"/contacts/{self.party.ids.get(other, other)}", at)

    async def befriend(self, name: str, *others: str) -> None:
        """Make people contacts of somebody."""
        couples = [pair_of(self.party.ids[name], self.party.ids[other]) for other in others]
        names = await self.directory.find({user for pair in couples for user in pair})
        async with self.database.transaction() as tx:
            await pairs.lock(tx.connection, couples)
            await self.lifecycle.join(tx, couples, names)

    async def part(self, name: str, other: str) -> None:
        """End two being contacts, as where contacts are required."""
        pair = pair_of(self.party.ids[name], self.party.ids[other])
        names = await self.directory.find(pair)
        async with self.database.transaction() as tx:
            await pairs.lock(tx.connection, [pair])
            await self.lifecycle.part(tx, [pair], names)

    async def invite(self, name: str, other: str, **fields: Any) -> StoredInvite:
        """Have somebody invite another."""
        at = now()
        given: dict[str, Any] = {"kind": "contact", "created_at": at, "expires_at": at + timedelta(days=1)} | fields
        invitor, invitee = self.party.ids[name], self.party.ids[other]
        invite = StoredInvite(id=new_id(), invitor_id=invitor, invitee_id=invitee, metadata={}, **given)
        names = await self.directory.find(invite.pair)
        async with self.database.transaction() as tx:
            await pairs.lock(tx.connection, [invite.pair])
            await self.lifecycle.create(tx, [invite], names)
        return invite

    async def accept(self, invite: StoredInvite) -> bool:
        """Have the invitee accept, unless somebody was faster; returns whether they could."""
        names = await self.directory.find(invite.pair)
        async with self.database.transaction() as tx:
            await pairs.lock(tx.connection, [invite.pair])
            closed = await self.lifecycle.close(tx, [invite.id], "accepted", names, now=now(), by=invite.invitee_id)
        return bool(closed)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Return what the database says."""
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def ends(self, name: str, other: str) -> Mapping[str, tuple[str, str | None]]:
        """Return how the invitations between two ended, by id: (status, by whom)."""
        query = """
            SELECT i.id::text, h.status, h.by FROM contact_invites i JOIN contact_invite_history h ON h.invite_id = i.id
            WHERE h.status <> 'pending' AND ARRAY[invitor_id, invitee_id] <@ $1::text[]
        """
        found = await self.rows(query, [self.party.ids[name], self.party.ids[other]])
        return {invite: (status, self.party.names.get(by or "", by)) for invite, status, by in found}


@asynccontextmanager
async def circle(party: Party) -> AsyncIterator[Circle]:
    """Give a party's circle."""
    database = await Database.connect(party.dsn, size=10)
    try:
        yield Circle(party, database)
    finally:
        await database.close()
