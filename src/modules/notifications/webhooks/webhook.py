"""A webhook, as the service knows it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

DisabledReason = Literal["requested", "gone", "failing"]
"""By the host; by the endpoint's answer 410; after days of nothing but failures."""

MAX_WEBHOOKS = 50


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where to post which events. Secrets are kept as they are: whatever signs has to know them."""

    id: UUID
    url: str
    events: list[str]
    description: str | None
    secret: str
    previous_secret: str | None
    previous_until: datetime | None
    """Until when the secret before this one signs, too."""
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None
    failures: int
    """In a row."""
    failing_since: datetime | None
    """Of the first of these."""
    resting_until: datetime | None
    """Not to be called before, but for tests."""
    created_at: datetime
    updated_at: datetime


def living(secret: str, previous: str | None, previous_until: datetime | None, now: datetime) -> tuple[str, ...]:
    """Return the secrets that sign at a moment, the newest first."""
    if previous is None or previous_until is None or previous_until <= now:
        return (secret,)
    return (secret, previous)
