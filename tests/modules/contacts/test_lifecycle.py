"""Lifecycle: what is written and told, and what the database itself refuses."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from bus import Bus, Event
from kernel import locks
from kernel.clock import now
from kernel.database import Database, Transaction
from kernel.ids import new_id
from modules.contacts import events
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import Pair, pair_of
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.store import pairs

T0 = now()


class Somebody(msgspec.Struct, frozen=True):
    """A person."""

    user_id: str
    active: bool = True

    @property
    def username(self) -> str:
        return self.user_id

    @property
    def display_name(self) -> str:
        return self.user_id.title()


NAMES = {user: Somebody(user) for user in ("ana", "ben", "cleo")}


class Directs:
    """Notes which direct channels are opened and closed."""

    def __init__(self) -> None:
        self.done: list[tuple[str, list[Pair]]] = []

    async def open(self, _tx: Transaction, pairs: Collection[Pair]) -> None:
        self.done.append(("open", sorted(pairs)))

    async def close(self, _tx: Transaction, pairs: Collection[Pair]) -> None:
        self.done.append(("close", sorted(pairs)))


class Scene:
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


@pytest.fixture
async def scene(database: Database) -> Scene:
    return Scene(database)


def invite(invitor: str = "ana", invitee: str = "ben", **fields: Any) -> StoredInvite:
    """Return an invitation to be made."""
    given: dict[str, Any] = {"kind": "contact", "metadata": {"a": 1}, "created_at": T0} | fields
    return StoredInvite(id=new_id(), invitor_id=invitor, invitee_id=invitee, expires_at=T0 + timedelta(days=1), **given)


async def test_who_accepts_becomes_a_contact_once(scene: Scene) -> None:
    made = invite()
    await scene.create(made)
    [closed] = await scene.close("accepted", made.id)
    assert await scene.close("declined", made.id) == []
    assert (closed.status, closed.responded_at, closed.metadata) == ("accepted", T0, {"a": 1})
    assert await scene.rows("SELECT low_id, high_id FROM contact_pairs") == [("ana", "ben")]
    assert await scene.rows("SELECT status, by FROM contact_invite_history ORDER BY status DESC") == [
        ("pending", "ana"),
        ("accepted", "ben"),
    ]
    told = [type(event) for event in scene.told]
    assert told == [events.InviteCreated, events.InviteAccepted, events.ContactAdded]
    assert scene.directs.done == [("open", [("ana", "ben")])]
    shown = msgspec.to_builtins(scene.told[1])["invite"]
    assert shown["invitor"] == {"user_id": "ana", "username": "ana", "display_name": "Ana"}


async def test_who_parts_can_no_longer_write(scene: Scene) -> None:
    async with scene.database.transaction() as tx:
        await scene.lifecycle.join(tx, [pair_of("cleo", "ana")], NAMES)
        assert await scene.lifecycle.part(tx, [("ana", "cleo"), ("ana", "ben")], NAMES) == [("ana", "cleo")]
    assert [type(event) for event in scene.told] == [events.ContactAdded, events.ContactRemoved]
    assert scene.directs.done == [("open", [("ana", "cleo")]), ("close", [("ana", "cleo")])]


async def test_reminders_are_counted(scene: Scene) -> None:
    made = invite(remind_at=T0)
    await scene.create(made)
    async with scene.database.transaction() as tx:
        [once] = await scene.lifecycle.remind(tx, [made.id], NAMES, now=T0)
        [twice] = await scene.lifecycle.remind(tx, [made.id], NAMES, now=T0)
    assert (once.reminders, once.remind_at, twice.reminders, twice.reminded_at) == (1, None, 2, T0)
    assert [event.reminders for event in scene.told if isinstance(event, events.InviteReminded)] == [1, 2]


async def test_one_is_pending_between_two_whoever_invites(scene: Scene) -> None:
    await scene.create(invite())
    for again in (invite(), invite("ben", "ana")):
        with pytest.raises(asyncpg.UniqueViolationError):
            await scene.create(again)
    channel: dict[str, Any] = {"kind": "channel", "channel_id": new_id(), "channel_role": "member"}
    await scene.create(invite(**channel), invite(**(channel | {"channel_id": new_id()})))
    with pytest.raises(asyncpg.UniqueViolationError):
        await scene.create(invite("cleo", "ben", **channel))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO contact_pairs (low_id, high_id) VALUES ('ben', 'ana')",
        "INSERT INTO contact_pairs (low_id, high_id) VALUES ('ana', 'ana')",
        "INSERT INTO contact_blocks (blocker_id, blocked_id) VALUES ('ana', 'ana')",
        "UPDATE contact_invites SET invitor_id = 'ben'",
        "UPDATE contact_invites SET status = 'gone'",
        "UPDATE contact_invites SET status = 'accepted'",
        "UPDATE contact_invites SET channel_role = 'member'",
        "UPDATE contact_invites SET kind = 'channel'",
        "UPDATE contact_invites SET message = repeat('x', 501)",
        "UPDATE contact_invites SET expires_at = created_at",
        "UPDATE contact_invite_history SET by = 'cleo'",
        "DELETE FROM contact_invite_history",
        "INSERT INTO contact_invite_history SELECT id, 'expired', now() FROM contact_invites",
    ],
)
async def test_the_database_refuses(scene: Scene, statement: str) -> None:
    made = invite()
    await scene.create(made)
    async with scene.database.transaction() as tx:
        await scene.lifecycle.close(tx, [made.id], "revoked", NAMES, now=T0, by="ana")
    with pytest.raises(asyncpg.PostgresError):
        async with scene.database.transaction() as tx:
            await tx.connection.execute(statement)


async def test_two_at_once_wait_for_each_other(scene: Scene) -> None:
    async with scene.database.transaction() as first, scene.database.transaction() as second:
        await pairs.lock(first.connection, [("ana", "ben"), ("ana", "cleo")])
        assert not await locks.try_lock(second.connection, ("contacts", "ana", "ben"))
        assert await locks.try_lock(second.connection, ("contacts", "ben", "cleo"))
