"""Frames of the personal socket. What a person is told there later gets a frame here and an entry in `deltas`."""

from typing import TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from kernel.clock import Timestamp
from modules.contacts.events import Invite, Named
from realtime import frames
from realtime.frames import Auth, Ping

Incoming: TypeAlias = Auth | Ping
decode = msgspec.json.Decoder(Incoming).decode


class PersonalFrame(frames.ServerFrame, frozen=True):
    """Base of the frames that go out here and at no other endpoint."""


class PersonalReady(PersonalFrame, frozen=True, tag="ready"):
    """The socket is authenticated, and hears from now on: read the truth over HTTP after this, not before."""

    connection_id: UUID
    user_id: str
    server_time: Timestamp
    heartbeat_s: float


class Badge(PersonalFrame, frozen=True, tag="badge"):
    """What is unread in a channel, and altogether, after something was written, read or deleted there.

    `sender_id`, `message_id` and `created_at` are those of the newest unread message of the channel, null where there
    is none. `total_unread` counts all channels, muted and archived ones too.
    """

    channel_id: UUID
    unread_count: int
    total_unread: int
    sender_id: str | None
    message_id: UUID | None
    created_at: Timestamp | None


class Notice(PersonalFrame, frozen=True, tag="notice"):
    """The host has something to say. It isn't stored: who isn't there doesn't hear of it."""

    title: str
    body: str
    link: str | UnsetType = UNSET


class InviteFrame(PersonalFrame, frozen=True):
    """Base of what is told of an invitation. `invite`: all of it, as it is now."""

    invite: Invite


class InviteReceived(InviteFrame, frozen=True, tag="invite.received"):
    """Somebody invites this person. Told to the invitee."""


class InviteAccepted(InviteFrame, frozen=True, tag="invite.accepted"):
    """The invitee said yes. Told to both."""


class InviteDeclined(InviteFrame, frozen=True, tag="invite.declined"):
    """The invitee said no. Told to both."""


class InviteRevoked(InviteFrame, frozen=True, tag="invite.revoked"):
    """The invitor took it back, or one of the two was deactivated. Told to both."""


class InviteExpired(InviteFrame, frozen=True, tag="invite.expired"):
    """Nobody answered in time. Told to both."""


class InviteReminder(InviteFrame, frozen=True, tag="invite.reminder"):
    """An invitation still waits for its answer. Told to the invitee."""


class ContactAdded(PersonalFrame, frozen=True, tag="contact.added"):
    """`user` is a contact from now on. Each of the two is told of the other."""

    user: Named


class ContactRemoved(PersonalFrame, frozen=True, tag="contact.removed"):
    """`user` is no contact any more, whoever of the two wanted it. Each is told of the other."""

    user: Named
