"""What can be decided: to send, to decide again later, or never to send. Each says why."""

from datetime import datetime
from typing import TypeAlias

import msgspec

from modules.notifications.domain.reasons import Never, NotNow, Now
from modules.notifications.domain.zones import Whereabouts


class Send(msgspec.Struct, frozen=True):
    """Send it, to arrive within `validity_s` seconds or not at all. `where`: where the person's clock was read."""

    validity_s: int
    reason: Now = "first_choice"
    where: Whereabouts | None = None


class Postpone(msgspec.Struct, frozen=True):
    """Decide again at `until`, which is ahead."""

    until: datetime
    reason: NotNow
    where: Whereabouts | None = None


class Suppress(msgspec.Struct, frozen=True):
    """Never send it, and keep why."""

    reason: Never
    where: Whereabouts | None = None


Decision: TypeAlias = Send | Postpone | Suppress


def noted(decision: Decision) -> str | None:
    """Return what a row says of a decision: why not, and whether it rests on the deployment's zone alone."""
    guessed = decision.where is not None and decision.where.source == "default_zone"
    if isinstance(decision, Send):
        return "default_zone" if guessed else None
    return f"{decision.reason}, default_zone" if guessed else decision.reason
