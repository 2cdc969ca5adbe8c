"""What is told at the personal socket of what other modules publish: an entry for each kind of event.

A module's events that concern people beside their conversations are told by a frame (in `frames`) and an entry here,
and by nothing else: the post delivers them, the contract publishes them.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

import msgspec

from bus.events import Event
from modules.contacts import events as contacts
from modules.notifications.personal import frames
from realtime.frames import ServerFrame

Told: TypeAlias = Iterable[tuple[Collection[str], ServerFrame]]
"""Who is told what."""


class Delta(msgspec.Struct, frozen=True):
    """What an event of this kind, once committed, tells to whom."""

    event: type[Event]
    tells: Callable[[Any], Told]


def _to_both(kind: type[frames.InviteFrame]) -> Callable[[contacts.InviteEvent], Told]:
    """A status changed: told to both of its people."""
    return lambda event: [([event.invite.invitor.user_id, event.invite.invitee.user_id], kind(event.invite))]


def _to_invitee(kind: type[frames.InviteFrame]) -> Callable[[contacts.InviteEvent], Told]:
    """Something was wished of the invitee: told to them alone."""
    return lambda event: [([event.invite.invitee.user_id], kind(event.invite))]


def _of_each_other(
    kind: Callable[[contacts.Named], ServerFrame],
) -> Callable[[contacts.ContactAdded | contacts.ContactRemoved], Told]:
    """Two people are or were contacts: each is told of the other."""
    return lambda event: [([one.user_id], kind(other)) for one, other in (event.users, event.users[::-1])]


DELTAS: tuple[Delta, ...] = (
    Delta(contacts.InviteCreated, _to_invitee(frames.InviteReceived)),
    Delta(contacts.InviteReminded, _to_invitee(frames.InviteReminder)),
    Delta(contacts.InviteAccepted, _to_both(frames.InviteAccepted)),
    Delta(contacts.InviteDeclined, _to_both(frames.InviteDeclined)),
    Delta(contacts.InviteRevoked, _to_both(frames.InviteRevoked)),
    Delta(contacts.InviteExpired, _to_both(frames.InviteExpired)),
    Delta(contacts.ContactAdded, _of_each_other(frames.ContactAdded)),
    Delta(contacts.ContactRemoved, _of_each_other(frames.ContactRemoved)),
)
