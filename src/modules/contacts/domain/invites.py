"""An invitation, as it is kept."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from modules.contacts.domain.pairs import Pair, pair_of
from modules.contacts.events import ChannelRole, InviteKind, InviteStatus

MAX_MESSAGE_CHARS = 500
MAX_REMINDERS = 3
"""So often the invitor can have reminded, the automatic reminder counted with theirs."""
REMIND_EVERY = timedelta(hours=24)
"""Nobody is reminded of the same invitation more often, whoever reminds."""


class StoredInvite(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation. `remind_at`: when the invitee is reminded next without anybody's doing."""

    id: UUID
    kind: InviteKind
    status: InviteStatus = "pending"
    invitor_id: str
    invitee_id: str
    channel_id: UUID | None = None
    channel_title: str | None = None
    channel_role: ChannelRole | None = None
    message: str | None = None
    metadata: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    responded_at: datetime | None = None
    remind_at: datetime | None = None
    reminded_at: datetime | None = None
    reminders: int = 0

    @property
    def pair(self) -> Pair:
        """Its two people."""
        return pair_of(self.invitor_id, self.invitee_id)

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be answered: pending and in time. The worker that expires it may come a little later."""
        return self.status == "pending" and now < self.expires_at


def reminder_at(created_at: datetime, expires_at: datetime, before: timedelta) -> datetime | None:
    """Return when to remind of an invitation that is to expire; None where it would be in its first half."""
    at = expires_at - before
    return at if before > timedelta() and at - created_at >= (expires_at - created_at) / 2 else None
