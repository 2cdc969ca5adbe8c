"""What contacts publish. Names and fields are part of the contract.

Names of people are the server's, as they were when it happened.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec

from bus.events import Event
from kernel.clock import Timestamp

CONTACTS_SIGNAL = "parley_contacts"
"""Notified with the id of everybody whose contacts are others now."""

InviteKind = Literal["contact", "channel"]
InviteStatus = Literal["pending", "accepted", "declined", "revoked", "expired"]
ChannelRole = Literal["admin", "moderator", "member"]


class Named(msgspec.Struct, frozen=True):
    """A person; somebody deactivated is shown under a pseudonym."""

    user_id: str
    username: str
    display_name: str


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation. `responded_at`: when the invitee accepted or declined. `channel_title`: as it was when invited."""

    id: UUID
    kind: InviteKind
    status: InviteStatus
    invitor: Named
    invitee: Named
    channel_id: UUID | None
    channel_title: str | None
    channel_role: ChannelRole | None
    message: str | None
    created_at: Timestamp
    expires_at: Timestamp
    responded_at: Timestamp | None
    metadata: dict[str, Any]


class InviteEvent(Event, frozen=True):
    """Base of what happens to an invitation. `invite`: all of it, as it is now."""

    invite: Invite


class InviteCreated(InviteEvent, frozen=True, tag="contacts.invite.created"):
    """Somebody was invited."""


class InviteAccepted(InviteEvent, frozen=True, tag="contacts.invite.accepted"):
    """The invitee said yes: the two are contacts, or the invitee is about to be in the channel."""


class InviteDeclined(InviteEvent, frozen=True, tag="contacts.invite.declined"):
    """The invitee said no."""


class InviteRevoked(InviteEvent, frozen=True, tag="contacts.invite.revoked"):
    """The invitor took it back, or one of the two was deactivated."""


class InviteExpired(InviteEvent, frozen=True, tag="contacts.invite.expired"):
    """Nobody answered in time."""


class InviteReminded(InviteEvent, frozen=True, tag="contacts.invite.reminded"):
    """The invitee is reminded, for the `reminders`th time."""

    reminders: int


class ContactAdded(Event, frozen=True, tag="contacts.contact.added"):
    """Two people are contacts from now on."""

    users: tuple[Named, Named]


class ContactRemoved(Event, frozen=True, tag="contacts.contact.removed"):
    """Two people are no contacts any more, whoever of them wanted it, and whether by a block or without."""

    users: tuple[Named, Named]
