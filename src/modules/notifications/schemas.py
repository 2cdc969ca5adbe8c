"""What goes in and out over HTTP."""

from datetime import datetime, time
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from kernel.clock import Timestamp, rfc3339, rfc3339_or_none
from kernel.errors import malformed_field
from kernel.incoming import Incoming
from kernel.text import pattern
from kernel.time_zones import is_time_zone
from modules.notifications.domain.delivery import Delivery, State
from modules.notifications.domain.preferences import Categories, Channels, Preferences, QuietHours
from modules.notifications.domain.quiet_hours import Window

TimeOfDay = Annotated[
    str,
    Meta(
        pattern=pattern(r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z", "must be HH:MM, from 00:00 to 23:59"),
        description="Hours and minutes, 24 h",
        examples=["21:00"],
    ),
]
ZoneName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=pattern(r"\A[A-Za-z0-9_+/-]{1,64}\Z", "must be an IANA time zone"),
        description="IANA name; null: the profile's, or else all that the telephone number may be from",
        examples=["Europe/Berlin"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]


class ChannelChoices(Incoming, frozen=True):
    """Ways of being told."""

    push: bool
    sms: bool
    email: bool


class CategoryChoices(Incoming, frozen=True):
    """Things to be told of."""

    messages: bool
    invites: bool


class QuietHoursBody(Incoming, frozen=True):
    """From `start` up to `end`, past midnight where `end` is the earlier one."""

    start: TimeOfDay
    end: TimeOfDay
    time_zone: ZoneName | None = None


class PreferencesIn(Incoming, frozen=True, kw_only=True):
    """The whole of a person's choices. `quiet_hours` null: none."""

    channels: ChannelChoices
    categories: CategoryChoices
    quiet_hours: QuietHoursBody | None
    paused_until: Moment | None = None

    def chosen(self) -> Preferences:
        """Return them as the rules know them.

        Raises:
            MalformedError: there is no such time zone, or quiet hours begin when they end.
        """
        return Preferences(
            Channels(self.channels.push, self.channels.sms, self.channels.email),
            Categories(self.categories.messages, self.categories.invites),
            None if self.quiet_hours is None else _quiet_hours(self.quiet_hours),
            self.paused_until,
        )


class PreferencesOut(msgspec.Struct, kw_only=True):
    """A person's choices."""

    channels: ChannelChoices
    categories: CategoryChoices
    quiet_hours: QuietHoursBody | None
    paused_until: Timestamp | None


class DeliveryOut(msgspec.Struct, kw_only=True):
    """An entry of the ledger: one message to one person, or why there was none.

    One about an invitation (`category` is `invites`) has neither channel nor seqs.
    """

    id: UUID
    user_id: str
    transport: str
    category: str
    channel_id: UUID | None
    from_seq: int | None
    to_seq: int | None
    message_count: int
    state: State
    reason: str | None
    provider_id: str | None
    attempts: int
    due_at: Timestamp
    created_at: Timestamp
    updated_at: Timestamp


OF_MESSAGES = {"channel_id", "from_seq", "to_seq"}
AS_THEY_ARE = [name for name in DeliveryOut.__struct_fields__ if name not in OF_MESSAGES and not name.endswith("_at")]


class DeliveryPage(msgspec.Struct):
    """A page of the ledger, newest first."""

    items: list[DeliveryOut]
    next: str | None


def preferences_out(preferences: Preferences) -> PreferencesOut:
    """Render preferences."""
    channels, categories, quiet = preferences.channels, preferences.categories, preferences.quiet_hours
    return PreferencesOut(
        channels=ChannelChoices(channels.push, channels.sms, channels.email),
        categories=CategoryChoices(categories.messages, categories.invites),
        quiet_hours=None
        if quiet is None
        else QuietHoursBody(quiet.window.start.strftime("%H:%M"), quiet.window.end.strftime("%H:%M"), quiet.time_zone),
        paused_until=rfc3339_or_none(preferences.paused_until),
    )


def delivery_out(delivery: Delivery) -> DeliveryOut:
    """Render a delivery."""
    messages = delivery.messages
    return DeliveryOut(
        **{name: getattr(delivery, name) for name in AS_THEY_ARE},
        channel_id=None if messages is None else messages.channel_id,
        from_seq=None if messages is None else messages.from_seq,
        to_seq=None if messages is None else messages.to_seq,
        due_at=rfc3339(delivery.due_at),
        created_at=rfc3339(delivery.created_at),
        updated_at=rfc3339(delivery.updated_at),
    )


def _quiet_hours(body: QuietHoursBody) -> QuietHours:
    if body.start == body.end:
        raise malformed_field("/quiet_hours/end", "must differ from start; null switches quiet hours off")
    if body.time_zone is not None and not is_time_zone(body.time_zone):
        raise malformed_field("/quiet_hours/time_zone", "is not an IANA time zone")
    return QuietHours(Window(time.fromisoformat(body.start), time.fromisoformat(body.end)), body.time_zone)
