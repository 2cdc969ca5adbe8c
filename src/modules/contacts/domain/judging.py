"""Whether an invitation may be, from the facts about its two people."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import msgspec

from kernel.errors import ConflictError, ParleyError
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import Pair, pair_of
from modules.contacts.domain.quotas import Quotas
from modules.contacts.errors import (
    AlreadyContactsError,
    AlreadyInvitedError,
    AlreadyMemberError,
    BlockedByYouError,
    DeclinedBeforeError,
    PersonNotFoundError,
)
from modules.contacts.ports import Admission


def slot(pair: Pair, invitee_id: str, channel_id: UUID | None) -> Pair:
    """Return what has room for one pending invitation: two people, or one and a channel. No id holds a space."""
    return pair if channel_id is None else (invitee_id, f"channel {channel_id}")


class Standing(msgspec.Struct, frozen=True):
    """How somebody stands with the one who wants to invite them. `declined_at`: their last no to a contact."""

    blocks: bool
    is_blocked: bool
    is_contact: bool
    declined_at: datetime | None


class Facts(msgspec.Struct, frozen=True):
    """How the invitees stand, and what waits for an answer between them or into the channels that this is about."""

    standings: Mapping[str, Standing]
    pending: Sequence[StoredInvite]


class Wish(msgspec.Struct, frozen=True):
    """Somebody is to be invited; for a channel with what messaging says about it."""

    invitor_id: str
    invitee_id: str
    channel_id: UUID | None = None
    admission: Admission | None = None

    @property
    def pair(self) -> Pair:
        """The two."""
        return pair_of(self.invitor_id, self.invitee_id)

    @property
    def slot(self) -> Pair:
        """What has room for one pending invitation."""
        return slot(self.pair, self.invitee_id, self.channel_id)


class Create(msgspec.Struct, frozen=True):
    """It may be."""


class Accept(msgspec.Struct, frozen=True):
    """The other one had invited already: that is accepted."""

    invite_id: UUID


Verdict: TypeAlias = Create | Accept | ParleyError


class Judge:
    """Judges wishes of one person one after the other: each counts for those after it."""

    def __init__(self, facts: Facts, quotas: Quotas, *, cooldown: timedelta | None, now: datetime) -> None:
        """`cooldown`: for how long who declined isn't asked again by the same person; None: for ever."""
        self._facts = facts
        self._quotas = quotas
        self._cooldown = cooldown
        self._now = now
        self._waiting = {
            slot(invite.pair, invite.invitee_id, invite.channel_id): invite
            for invite in facts.pending
            if invite.is_open(now)
        }
        self._invited: set[Pair] = set()
        self._joined: set[Pair] = set()

    def judge(self, wish: Wish) -> Verdict:
        """Return what becomes of a wish. Of whom the invitor has blocked nothing is told but that; then, whoever blocks
        the invitor is nobody to them, before anything else is told.
        """
        standing = self._facts.standings[wish.invitee_id]
        if standing.blocks:
            return BlockedByYouError()
        if standing.is_blocked:
            return PersonNotFoundError()
        found = self._contact(wish, standing) if wish.channel_id is None else self._channel(wish)
        verdict = found or self._quotas.refusal(wish.invitee_id) or Create()
        self._count(wish, verdict)
        return verdict

    def _contact(self, wish: Wish, standing: Standing) -> Accept | ParleyError | None:
        if standing.is_contact or wish.slot in self._joined:
            return AlreadyContactsError()
        waiting = self._waiting.get(wish.slot)
        if waiting is not None and waiting.invitor_id != wish.invitor_id:
            return Accept(waiting.id)
        if waiting is not None or wish.slot in self._invited:
            return AlreadyInvitedError()
        return DeclinedBeforeError() if self._is_refused(standing.declined_at) else None

    def _channel(self, wish: Wish) -> ParleyError | None:
        admission = wish.admission
        if admission is not None and admission.refusal is not None:
            return _passed_on(admission.refusal)
        if admission is not None and admission.is_member:
            return AlreadyMemberError()
        return AlreadyInvitedError() if wish.slot in self._invited | self._waiting.keys() else None

    def _is_refused(self, declined_at: datetime | None) -> bool:
        if declined_at is None:
            return False
        return self._cooldown is None or self._now < declined_at + self._cooldown

    def _count(self, wish: Wish, verdict: Verdict) -> None:
        if isinstance(verdict, Create):
            self._invited.add(wish.slot)
            self._quotas.add(wish.invitee_id)
        elif isinstance(verdict, Accept):
            self._joined.add(wish.slot)


def _passed_on(refusal: ParleyError) -> ParleyError:
    """Return messaging's refusal; its types of conflict aren't this contract's, what it says of them is."""
    return ConflictError(refusal.detail) if isinstance(refusal, ConflictError) else refusal
