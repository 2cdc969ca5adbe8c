"""Lifecycle: what is written and told, and what the database itself refuses."""

from typing import Any

import asyncpg
import msgspec
import pytest

from kernel import locks
from kernel.ids import new_id
from modules.contacts import events
from modules.contacts.domain.pairs import pair_of
from modules.contacts.store import pairs
from tests.modules.contacts.writing import NAMES, T0, Writing, invite


async def test_who_accepts_becomes_a_contact_once(writing: Writing) -> None:
    made = invite()
    await writing.create(made)
    [closed] = await writing.close("accepted", made.id)
    assert await writing.close("declined", made.id) == []
    assert (closed.status, closed.responded_at, closed.metadata) == ("accepted", T0, {"a": 1})
    assert await writing.rows("SELECT low_id, high_id FROM contact_pairs") == [("ana", "ben")]
    assert await writing.rows("SELECT status, by FROM contact_invite_history ORDER BY status DESC") == [
        ("pending", "ana"),
        ("accepted", "ben"),
    ]
    told = [type(event) for event in writing.told]
    assert told == [events.InviteCreated, events.InviteAccepted, events.ContactAdded]
    assert writing.directs.done == [("open", [("ana", "ben")])]
    shown = msgspec.to_builtins(writing.told[1])["invite"]
    assert shown["invitor"] == {"user_id": "ana", "username": "ana", "display_name": "Ana"}


async def test_who_parts_can_no_longer_write(writing: Writing) -> None:
    async with writing.database.transaction() as tx:
        await writing.lifecycle.join(tx, [pair_of("cleo", "ana")], NAMES)
        assert await writing.lifecycle.part(tx, [("ana", "cleo"), ("ana", "ben")], NAMES) == [("ana", "cleo")]
    assert [type(event) for event in writing.told] == [events.ContactAdded, events.ContactRemoved]
    assert writing.directs.done == [("open", [("ana", "cleo")]), ("close", [("ana", "cleo")])]


async def test_reminders_are_counted(writing: Writing) -> None:
    made = invite(remind_at=T0)
    await writing.create(made)
    async with writing.database.transaction() as tx:
        [once] = await writing.lifecycle.remind(tx, [made.id], NAMES, now=T0)
        [twice] = await writing.lifecycle.remind(tx, [made.id], NAMES, now=T0)
    assert (once.reminders, once.remind_at, twice.reminders, twice.reminded_at) == (1, None, 2, T0)
    assert [event.reminders for event in writing.told if isinstance(event, events.InviteReminded)] == [1, 2]


async def test_one_is_pending_between_two_whoever_invites(writing: Writing) -> None:
    await writing.create(invite())
    for again in (invite(), invite("ben", "ana")):
        with pytest.raises(asyncpg.UniqueViolationError):
            await writing.create(again)
    channel: dict[str, Any] = {"kind": "channel", "channel_id": new_id(), "channel_role": "member"}
    await writing.create(invite(**channel), invite(**(channel | {"channel_id": new_id()})))
    with pytest.raises(asyncpg.UniqueViolationError):
        await writing.create(invite("cleo", "ben", **channel))


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
async def test_the_database_refuses(writing: Writing, statement: str) -> None:
    made = invite()
    await writing.create(made)
    async with writing.database.transaction() as tx:
        await writing.lifecycle.close(tx, [made.id], "revoked", NAMES, now=T0, by="ana")
    with pytest.raises(asyncpg.PostgresError):
        async with writing.database.transaction() as tx:
            await tx.connection.execute(statement)


async def test_two_at_once_wait_for_each_other(writing: Writing) -> None:
    async with writing.database.transaction() as first, writing.database.transaction() as second:
        await pairs.lock(first.connection, [("ana", "ben"), ("ana", "cleo")])
        assert not await locks.try_lock(second.connection, ("contacts", "ana", "ben"))
        assert await locks.try_lock(second.connection, ("contacts", "ben", "cleo"))
