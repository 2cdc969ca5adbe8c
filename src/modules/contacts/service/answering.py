"""What the two people of an invitation do about it: accept, decline, revoke, remind.

Guarantees: whoever comes first decides, however many act at once: decisions are made under the locks of the pair and of
the invitation. Doing again what is done already answers with the invitation and changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from kernel.clock import Clock
from kernel.database import Database, Transaction
from kernel.errors import ParleyError
from modules.contacts.domain.answering import OUTCOMES, Action, Answer, is_done, refusal
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.errors import InviteClosedError, InviteNotFoundError, NotAdmittedError
from modules.contacts.events import Invite
from modules.contacts.ports import Channels, People, Proposal
from modules.contacts.schemas.invites import Answered, AnsweredAll
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.naming import Names, people_of, shown
from modules.contacts.store import invites as rows
from modules.contacts.store import listing, pairs

AT_ONCE, BATCH = 1000, 100
"""So many invitations are answered in one call, a batch a transaction."""

ANSWERED: Mapping[Answer, Literal["accepted", "declined"]] = {"accept": "accepted", "decline": "declined"}


class Answering:
    """Changes invitations for their people."""

    def __init__(
        self,
        *,
        database: Database,
        people: People,
        channels: Channels,
        lifecycle: Lifecycle,
        clock: Clock,
    ) -> None:
        self._database = database
        self._people = people
        self._channels = channels
        self._lifecycle = lifecycle
        self._clock = clock

    async def act(self, user_id: str, invite_id: UUID, action: Action) -> Invite:
        """Do something about one; returns it as it is then.

        Raises:
            InviteNotFoundError: no such invitation, or one between others.
            ForbiddenError: it is for the other one to do.
            InviteClosedError: it has ended otherwise, or its time is over.
            NotAdmittedError: the channel can't be joined now; the invitation stays pending.
            RemindedTooOftenError: not again, or not yet.
        """
        async with self._database.connection() as connection:
            invite = await listing.one(connection, invite_id, user_id)
        if invite is None:
            raise InviteNotFoundError
        [result] = await self._settle([invite], action, user_id)
        if isinstance(result, ParleyError):
            raise result
        return result

    async def answer_all(self, user_id: str, answer: Answer) -> AnsweredAll:
        """Accept or decline all that wait for somebody, oldest first, at most `AT_ONCE`."""
        results: list[Answered] = []
        after: UUID | None = None
        while len(results) < AT_ONCE:
            waiting = await self._waiting(user_id, after, BATCH)
            if not waiting:
                return AnsweredAll(results, more=False)
            answers = await self._settle(waiting, answer, user_id)
            results += [_answered(invite, answer, result) for invite, result in zip(waiting, answers, strict=True)]
            after = waiting[-1].id
        return AnsweredAll(results, more=bool(await self._waiting(user_id, after, 1)))

    async def _waiting(self, user_id: str, after: UUID | None, limit: int) -> list[StoredInvite]:
        async with self._database.connection() as connection:
            return await listing.open_received(connection, user_id, self._clock(), after, limit)

    async def _settle(
        self, invites: Sequence[StoredInvite], action: Action, user_id: str
    ) -> list[Invite | ParleyError]:
        """Do the same about some; returns what became of each, in their order."""
        names = await self._people.find(people_of(invites))
        obstacles = await self._obstacles(invites, names) if action == "accept" else {}
        async with self._database.transaction() as tx:
            await pairs.lock(tx.connection, [invite.pair for invite in invites])
            now = self._clock()
            present = await rows.lock(tx.connection, [invite.id for invite in invites])
            refused = {
                one.id: why
                for one in present
                if (why := refusal(one, action, user_id, now) or _obstacle(one, action, obstacles)) is not None
            }
            changing = [one.id for one in present if one.id not in refused and not is_done(one, action)]
            changed = await self._change(tx, changing, action, names, now, user_id)
        found = {one.id: one for one in (*present, *changed)}
        return [refused.get(invite.id) or shown(found[invite.id], names) for invite in invites]

    async def _change(
        self, tx: Transaction, invite_ids: Sequence[UUID], action: Action, names: Names, now: datetime, by: str
    ) -> list[StoredInvite]:
        if action == "remind":
            return await self._lifecycle.remind(tx, invite_ids, names, now=now)
        return await self._lifecycle.close(tx, invite_ids, OUTCOMES[action], names, now=now, by=by)

    async def _obstacles(self, invites: Sequence[StoredInvite], names: Names) -> Mapping[UUID, ParleyError]:
        """Return what stands against accepting, beside the invitations themselves; nothing that others may not know."""
        gone = {one.id: InviteClosedError("Who invited is gone") for one in invites if not names[one.invitor_id].active}
        into = [(one.id, proposal) for one in invites if (proposal := _proposal(one)) is not None]
        admissions = await self._channels.admissions([proposal for _, proposal in into]) if into else []
        shut = {
            invite_id: NotAdmittedError("Ask whoever invited you, or try again later")
            for (invite_id, _), admission in zip(into, admissions, strict=True)
            if admission.refusal is not None and not admission.is_member
        }
        return {**shut, **gone}


def _proposal(invite: StoredInvite) -> Proposal | None:
    if invite.channel_id is None or invite.channel_role is None:
        return None
    return Proposal(invite.invitor_id, invite.channel_id, invite.invitee_id, invite.channel_role)


def _obstacle(invite: StoredInvite, action: Action, obstacles: Mapping[UUID, ParleyError]) -> ParleyError | None:
    return None if is_done(invite, action) else obstacles.get(invite.id)


def _answered(invite: StoredInvite, answer: Answer, result: Invite | ParleyError) -> Answered:
    if isinstance(result, ParleyError):
        return Answered(invite_id=invite.id, status="error", problem=result.problem())
    return Answered(invite_id=invite.id, status=ANSWERED[answer], invite=result)
