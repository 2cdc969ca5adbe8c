"""What others may ask about invitations: whether there is still something to tell one of their two people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from kernel.clock import Clock, now
from kernel.database import Database
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.ports import People
from modules.contacts.service.naming import Names, people_of
from modules.contacts.store import invites as rows


class Span(Protocol):
    """News of an invitation for one of its two people, from which on.

    For the invitee 1 is the invitation itself, and 1 + n its nth reminder; for the invitor 1 is that it was accepted.
    """

    @property
    def user_id(self) -> str:
        """Whom it is for."""
        ...

    @property
    def invite_id(self) -> UUID:
        """The invitation."""
        ...

    @property
    def from_seq(self) -> int:
        """The first."""
        ...


class InviteState(msgspec.Struct, frozen=True):
    """What there is to tell of an invitation, since when, and of whom.

    `ended`: why it needs no telling any more. An overdue one counts as withdrawn, and so does one that there isn't.
    """

    news: Literal["received", "reminder", "accepted"]
    ended: Literal["answered", "withdrawn"] | None
    since: datetime | None = None
    other_name: str = ""


class Invitations:
    """Answers from the invitations as they are now, with people's present names."""

    def __init__(self, database: Database, people: People, clock: Clock = now) -> None:
        self._database = database
        self._people = people
        self._clock = clock

    async def invite_states(self, spans: Sequence[Span]) -> list[InviteState]:
        """Return the state of each invitation, in the order asked, in one query and one for names."""
        async with self._database.connection() as connection:
            found = {one.id: one for one in await rows.find(connection, {span.invite_id for span in spans})}
        names = await self._people.find(people_of(found.values()))
        moment = self._clock()
        return [_state(span, found.get(span.invite_id), names, moment) for span in spans]


def _state(span: Span, invite: StoredInvite | None, names: Names, moment: datetime) -> InviteState:
    if invite is None or span.user_id not in invite.pair:
        return InviteState("received", "withdrawn")
    if span.user_id == invite.invitor_id:
        ended: Literal["withdrawn"] | None = None if invite.status == "accepted" else "withdrawn"
        return InviteState("accepted", ended, invite.responded_at, _name(names, invite.invitee_id))
    name = _name(names, invite.invitor_id)
    if span.from_seq == 1:
        return InviteState("received", _end(invite, moment), invite.created_at, name)
    return InviteState("reminder", _end(invite, moment), invite.reminded_at, name)


def _end(invite: StoredInvite, moment: datetime) -> Literal["answered", "withdrawn"] | None:
    if invite.is_open(moment):
        return None
    return "answered" if invite.status in {"accepted", "declined"} else "withdrawn"


def _name(names: Names, user_id: str) -> str:
    return names[user_id].display_name if user_id in names else ""
