"""What goes in and out of invitations that there are."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from kernel.clock import Timestamp
from kernel.errors import Problem
from kernel.incoming import Incoming
from modules.contacts.domain.answering import Action
from modules.contacts.events import Invite, InviteStatus


class PutInvite(Incoming, frozen=True, kw_only=True):
    """What is to become of an invitation."""

    action: Annotated[
        Action,
        Meta(description="The invitee can accept and decline, the invitor revoke and remind"),
    ]


class InvitePage(msgspec.Struct, frozen=True):
    """Invitations, newest first. With `q` a page may hold few or none and still have a `next`."""

    items: list[Invite]
    next: str | None


class HistoryEntry(msgspec.Struct, frozen=True):
    """A status that it has had. `by`: whose doing it was; null when time ran out, or somebody was deactivated."""

    status: InviteStatus
    at: Timestamp
    by: str | None


class InviteDetail(Invite, frozen=True, kw_only=True):
    """An invitation with every status that it has had, the first one first."""

    history: list[HistoryEntry]


class Answered(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of one: `invite` as it is now, or `problem` where it stays as it is."""

    invite_id: UUID
    status: Literal["accepted", "declined", "error"]
    invite: Invite | None = None
    problem: Problem | None = None


class AnsweredAll(msgspec.Struct, frozen=True):
    """A result for each invitation, oldest first. `more`: there are others, for another call."""

    results: list[Answered]
    more: bool


class StatusCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are of each status."""

    pending: int = 0
    accepted: int = 0
    declined: int = 0
    revoked: int = 0
    expired: int = 0


class KindCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by kind."""

    contact: StatusCounts
    channel: StatusCounts


class InviteStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Invitations in figures, those that were taken back or wait counted in `counts` and `total` only.

    `acceptance_rate`: accepted ones among those that were accepted, declined or expired, 0 to 1; `median_response_s`:
    seconds from an invitation to its answer. Null where there is nothing to tell from.
    """

    scope: Literal["mine", "all"]
    counts: KindCounts
    total: int
    acceptance_rate: float | None
    median_response_s: float | None
