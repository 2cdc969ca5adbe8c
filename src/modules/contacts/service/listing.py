"""Shows people their invitations; to everybody else they don't exist."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import asdict

from kernel.clock import Clock, rfc3339
from kernel.cursors import decode_cursor, encode_cursor
from kernel.database import Database
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.errors import InviteNotFoundError
from modules.contacts.events import Invite
from modules.contacts.ports import People
from modules.contacts.schemas.invites import HistoryEntry, InviteDetail, InvitePage
from modules.contacts.service.naming import people_of, shown
from modules.contacts.store import invites as rows
from modules.contacts.store import listing as store
from modules.contacts.store.listing import Candidate, Filter

LOOKED_THROUGH = 2000
"""So many invitations a page is searched in, so that a search costs the same whoever asks."""


class Listing:
    """Reads. A page takes at most two queries, four with a text to look for."""

    def __init__(self, database: Database, people: People, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._clock = clock

    async def page(
        self, user_id: str, wanted: Filter, *, text: str | None, limit: int, cursor: str | None
    ) -> InvitePage:
        """Return invitations, newest first.

        Args:
            user_id: whose.
            wanted: which.
            text: only those where the other person's username or display name, or the message, contains this,
                whatever its case. Looks through `LOOKED_THROUGH` at a time.
            limit: at most so many.
            cursor: from the page before.

        Raises:
            MalformedError: the cursor isn't one that was given out.
        """
        before = None if cursor is None else decode_cursor(cursor, UUID)
        if text is not None:
            return await self._found(user_id, wanted, text, before, limit)
        async with self._database.connection() as connection:
            found = await store.page(connection, user_id, wanted, self._clock(), before, limit + 1)
        following = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return InvitePage(await self.shown(found[:limit]), following)

    async def detail(self, user_id: str, invite_id: UUID) -> InviteDetail:
        """Return an invitation with its history.

        Raises:
            InviteNotFoundError: no such invitation, or one between others.
        """
        async with self._database.connection() as connection:
            invite = await store.one(connection, invite_id, user_id)
            if invite is None:
                raise InviteNotFoundError
            steps = await store.history(connection, invite_id)
        [whole] = await self.shown([invite])
        history = [HistoryEntry(step.status, rfc3339(step.at), step.by) for step in steps]
        return InviteDetail(**asdict(whole), history=history)

    async def shown(self, invites: Sequence[StoredInvite]) -> list[Invite]:
        """Return them as their people see them."""
        names = await self._people.find(people_of(invites))
        return [shown(invite, names) for invite in invites]

    async def _found(self, user_id: str, wanted: Filter, text: str, before: UUID | None, limit: int) -> InvitePage:
        async with self._database.connection() as connection:
            seen = await store.candidates(connection, user_id, wanted, self._clock(), before, LOOKED_THROUGH, text)
        named = await self._people.matching({one.other_id for one in seen}, text)
        hits = [one.id for one in seen if one.is_mentioned or one.other_id in named]
        async with self._database.connection() as connection:
            found = await rows.find(connection, hits[:limit])
        following = _after(hits, seen, limit)
        return InvitePage(await self.shown(found), None if following is None else encode_cursor(following))


def _after(hits: Sequence[UUID], seen: Sequence[Candidate], limit: int) -> UUID | None:
    """Return what the next page begins after; None when there is none."""
    if len(hits) > limit:
        return hits[limit - 1]
    return seen[-1].id if len(seen) == LOOKED_THROUGH else None
