"""What a person wants to hear of, and when not."""

from datetime import datetime, time

import msgspec

from modules.notifications.domain.quiet_hours import Window


class Channels(msgspec.Struct, frozen=True):
    """Ways of being told."""

    push: bool = True
    sms: bool = True
    email: bool = True


class Categories(msgspec.Struct, frozen=True):
    """Things to be told of."""

    messages: bool = True
    invites: bool = True


class QuietHours(msgspec.Struct, frozen=True):
    """When not to be disturbed. `time_zone`: IANA name; None: wherever the person is."""

    window: Window
    time_zone: str | None = None


class Preferences(msgspec.Struct, frozen=True):
    """A person's choices. `quiet_hours` None: the person wants none."""

    channels: Channels = Channels()
    categories: Categories = Categories()
    quiet_hours: QuietHours | None = None
    paused_until: datetime | None = None


def defaults(quiet_hours: str) -> Preferences:
    """Return the preferences of somebody who never chose: everything on, quiet hours as `HH:MM-HH:MM` says."""
    start, _, end = quiet_hours.partition("-")
    return Preferences(quiet_hours=QuietHours(Window(time.fromisoformat(start), time.fromisoformat(end))))
