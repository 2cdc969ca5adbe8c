"""What others learn of an invitation: whether there is something to tell one of its people, since when and of whom."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import pytest

from kernel.clock import now
from kernel.database import Database
from kernel.ids import new_id
from modules.contacts.events import InviteStatus
from modules.contacts.invitations import Invitations, InviteState
from tests.modules.contacts.writing import NAMES, T0, Writing, invite
from tests.support.people import Everybody
from tests.support.statements import statements


class Span(NamedTuple):
    """What is asked."""

    user_id: str
    invite_id: UUID
    from_seq: int = 1


@pytest.fixture
def invitations(database: Database) -> Invitations:
    return Invitations(database, Everybody())


async def test_what_is_pending_waits_and_its_reminder_too(writing: Writing, invitations: Invitations) -> None:
    made = invite()
    await writing.create(made)
    assert await invitations.invite_states([Span("ben", made.id)]) == [InviteState("received", None, T0, "Ana")]
    at = now()
    async with writing.database.transaction() as tx:
        await writing.lifecycle.remind(tx, [made.id], NAMES, now=at)
    received, reminded = await invitations.invite_states([Span("ben", made.id), Span("ben", made.id, 2)])
    assert (received.news, received.since) == ("received", T0)
    assert reminded == InviteState("reminder", None, at, "Ana")


@pytest.mark.parametrize(
    ("status", "to_invitee", "to_invitor"),
    [
        ("accepted", "answered", None),
        ("declined", "answered", "withdrawn"),
        ("revoked", "withdrawn", "withdrawn"),
        ("expired", "withdrawn", "withdrawn"),
    ],
)
async def test_what_has_ended_needs_no_telling_but_an_acceptance(
    writing: Writing,
    invitations: Invitations,
    status: InviteStatus,
    to_invitee: str,
    to_invitor: str | None,
) -> None:
    made = invite()
    await writing.create(made)
    await writing.close(status, made.id)
    ben, ana = await invitations.invite_states([Span("ben", made.id), Span("ana", made.id)])
    assert (ben.news, ben.ended) == ("received", to_invitee)
    assert (ana.news, ana.ended, ana.other_name) == ("accepted", to_invitor, "Ben")
    if status == "accepted":
        assert ana.since == T0


async def test_what_is_overdue_needs_no_telling_though_nobody_has_ended_it(
    writing: Writing,
    invitations: Invitations,
) -> None:
    made = invite(created_at=T0 - timedelta(days=3))
    await writing.create(made)
    async with writing.database.transaction() as tx:
        await tx.connection.execute("UPDATE contact_invites SET expires_at = now() - interval '1 second'")
    assert [one.ended for one in await invitations.invite_states([Span("ben", made.id)])] == ["withdrawn"]


async def test_what_there_isnt_or_is_between_others_needs_no_telling(
    writing: Writing,
    invitations: Invitations,
) -> None:
    made = invite()
    await writing.create(made)
    for span in (Span("ben", new_id()), Span("cleo", made.id)):
        assert await invitations.invite_states([span]) == [InviteState("received", "withdrawn")]


async def test_many_take_one_query(writing: Writing, dsn: str) -> None:
    made = [invite(kind="channel", channel_id=new_id(), channel_role="member") for _ in range(30)]
    await writing.create(*made)
    async with statements(dsn) as (database, noted):
        states = await Invitations(database, Everybody()).invite_states([Span("ben", one.id) for one in made])
    assert (len(states), sum("contact_invites" in one for one in noted)) == (30, 1)
