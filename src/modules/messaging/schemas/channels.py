"""Channels, as people see them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kernel.clock import Timestamp
from kernel.incoming import Incoming
from kernel.text import HostId, Title
from modules.messaging.schemas.messages import Sender
from realtime.presence.port import StatusName

GroupRole = Literal["admin", "moderator", "member"]
Status = Literal["active", "archived"]


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel."""

    id: UUID
    kind: Literal["context", "direct", "group"]
    context_type: str | None
    context_id: str | None
    title: str | None
    status: Status
    last_seq: int
    last_message_at: Timestamp | None
    participant_count: int
    created_at: Timestamp


class LastMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest message as it is now, at most 120 characters of it on one line; of a deleted one, none."""

    id: UUID
    seq: int
    sender: Sender
    preview: str
    created_at: Timestamp
    is_deleted: bool


class OwnChannel(ChannelView, frozen=True, kw_only=True):
    """A channel as one of its participants sees it.

    `unread_count`: messages of others, not deleted, after what they read and after they joined. `direct_user`: the
    other person of a direct channel, under their present names. Muted while `muted_until` is ahead.
    """

    unread_count: int
    last_read_seq: int
    last_message: LastMessage | None
    muted_until: Timestamp | None
    direct_user: Sender | None


class ChannelPage(msgspec.Struct, frozen=True):
    """Channels, newest message first."""

    items: list[OwnChannel]
    next: str | None


class ParticipantView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who takes part in a channel. The marks say how far they have come, also before they joined."""

    user_id: str
    display_name: str
    username: str
    role: str
    joined_at: Timestamp
    last_read_seq: int
    last_delivered_seq: int
    presence: StatusName


class ChannelDetail(OwnChannel, frozen=True, kw_only=True):
    """A channel with everybody who takes part in it, in the order in which they joined."""

    participants: list[ParticipantView]


class PostDirect(Incoming, frozen=True):
    """Whom to talk to."""

    user_id: HostId


class PostGroup(Incoming, frozen=True):
    """A group to make. `participant_ids`: everybody but oneself."""

    title: Title
    participant_ids: list[HostId]


class PatchChannel(Incoming, frozen=True):
    """What is to be another; what is left out stays. A group always has a title, so null isn't one."""

    title: Title | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class PutSettings(Incoming, frozen=True):
    """One's own settings for a channel, all of them. `muted_until` null, left out or past: not muted."""

    muted_until: Annotated[datetime, Meta(tz=True)] | None = None


class ChannelSettings(msgspec.Struct, frozen=True):
    """One's own settings for a channel."""

    muted_until: Timestamp | None


class PostParticipant(Incoming, frozen=True):
    """Somebody to add to a group."""

    user_id: HostId
    role: GroupRole = "member"


class PatchParticipant(Incoming, frozen=True):
    """Another role."""

    role: GroupRole
