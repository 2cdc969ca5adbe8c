"""The order of transports: push first, SMS where that isn't possible or stayed unread, e-mail last.

Each step decides for itself. What it needs to know of the better ones is how far they have come with the first
message that is still unread: later ones must not put it off for ever.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from modules.notifications.domain.reasons import NotNow

LADDER = ("push", "sms", "email")
"""Better ones first."""

WAITING: Mapping[str, NotNow] = {"push": "waiting_for_push", "sms": "waiting_for_sms"}

Progress = Literal["none", "to_come", "sending", "accepted", "unknown", "failed"]
"""none: it never began, or came to an end without a call. unknown: nobody can tell whether it arrived."""


class Earlier(msgspec.Struct, frozen=True):
    """How far a transport has come. `at`: when it is due, or when it was accepted."""

    transport: str
    progress: Progress = "none"
    at: datetime | None = None
    reason: str | None = None

    @property
    def may_have_told(self) -> bool:
        """Whether the person may have heard by it, or is about to."""
        return self.progress in {"sending", "accepted", "unknown"}


def better_than(transport: str) -> tuple[str, ...]:
    """Return the transports that are tried before this one."""
    return LADDER[: LADDER.index(transport)]


def worse_than(transport: str) -> tuple[str, ...]:
    """Return the transports that are tried after this one."""
    return LADDER[LADDER.index(transport) + 1 :]
