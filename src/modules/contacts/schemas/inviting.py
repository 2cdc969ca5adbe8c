"""Invitations, as they are asked for and as they are answered."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from kernel.errors import Problem
from kernel.incoming import Incoming
from kernel.text import NO_NUL, HostId
from modules.contacts.domain.invites import MAX_MESSAGE_CHARS
from modules.contacts.events import ChannelRole, Invite, InviteKind
from modules.contacts.schemas.templates import TemplateName

MAX_BULK = 100
METADATA_BYTES = 16 * 1024
DAY_S = 86_400

ConnectPin = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=NO_NUL,
        description="As people copy it: in either case, O for 0, I or L for 1, with or without hyphens and spaces",
        examples=["K7QX2-M9D4R"],
    ),
]
InviteMessage = Annotated[
    str, Meta(min_length=1, max_length=MAX_MESSAGE_CHARS, pattern=NO_NUL, examples=["It's Ana, from Dock 4"])
]
Lifetime = Annotated[int, Meta(ge=60, le=90 * DAY_S, description="Left out: PARLEY_INVITE_TTL_S", examples=[7 * DAY_S])]


class PostInvite(Incoming, frozen=True):
    """Whom to invite: by exactly one of `connect_pin` and `user_id`.

    `kind` `contact` is an invitation to be each other's contact, `channel` one into the group `channel_id`, there as
    `channel_role` (left out: `member`). `template`: the name of a text that the server fills in, instead of `message`.
    `metadata`: an object of the client's, at most 16 KiB as JSON.
    """

    kind: InviteKind = "contact"
    connect_pin: ConnectPin | None = None
    user_id: HostId | None = None
    channel_id: UUID | None = None
    channel_role: ChannelRole | None = None
    message: InviteMessage | None = None
    template: TemplateName | None = None
    expires_in_s: Lifetime | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class PostInvites(Incoming, frozen=True):
    """Up to 100 invitations. They are checked one by one, so that a malformed one is answered in its own result."""

    invites: Annotated[list[PostInvite | Any], Meta(max_length=MAX_BULK)]


class InviteResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one: the invitation where it was `created`, or theirs that was `accepted`; else why not."""

    status: Literal["created", "accepted", "error"]
    invite: Invite | None = None
    problem: Problem | None = None


class InviteResults(msgspec.Struct, frozen=True):
    """A result for each, in their order."""

    results: list[InviteResult]
