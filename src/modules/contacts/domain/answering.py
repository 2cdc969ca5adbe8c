"""What its two people may do about an invitation, and when: decided from the invitation alone, under its lock."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from kernel.errors import ForbiddenError, ParleyError
from modules.contacts.domain.invites import MAX_REMINDERS, REMIND_EVERY, StoredInvite
from modules.contacts.errors import InviteClosedError, RemindedTooOftenError
from modules.contacts.events import InviteStatus

Action = Literal["accept", "decline", "revoke", "remind"]
Answer = Literal["accept", "decline"]

OUTCOMES: Mapping[Action, InviteStatus] = {"accept": "accepted", "decline": "declined", "revoke": "revoked"}
"""How an invitation ends by an action. Reminding ends nothing."""

INVITEE_S: frozenset[Action] = frozenset({"accept", "decline"})


def is_done(invite: StoredInvite, action: Action) -> bool:
    """Whether the action has its outcome already, so that asking for it again changes nothing."""
    return invite.status == OUTCOMES.get(action)


def refusal(invite: StoredInvite, action: Action, user_id: str, now: datetime) -> ParleyError | None:
    """Return why one of its two people may not do this now; None when they may, or when it `is_done`.

    Only the invitee answers and only the invitor takes back or reminds; while it is pending and in time.
    """
    if user_id != (invite.invitee_id if action in INVITEE_S else invite.invitor_id):
        whose = "was invited" if action in INVITEE_S else "invited"
        return ForbiddenError(f"Only who {whose} can {action}")
    if is_done(invite, action):
        return None
    if not invite.is_open(now):
        return InviteClosedError(f"The invitation is {_ended(invite)}")
    return _too_often(invite, now) if action == "remind" else None


def _ended(invite: StoredInvite) -> InviteStatus:
    return "expired" if invite.status == "pending" else invite.status


def _too_often(invite: StoredInvite, now: datetime) -> ParleyError | None:
    if invite.reminders >= MAX_REMINDERS:
        return RemindedTooOftenError(f"At most {MAX_REMINDERS} reminders of an invitation")
    if invite.reminded_at is not None and now < invite.reminded_at + REMIND_EVERY:
        return RemindedTooOftenError("At most one reminder of an invitation in 24 hours")
    return None
