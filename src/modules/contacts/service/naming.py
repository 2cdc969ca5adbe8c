"""Names of people in what is shown and told: the server's, looked up for all of them at once."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from kernel.clock import rfc3339, rfc3339_or_none
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.events import Invite, Named
from modules.contacts.ports import Person

Names: TypeAlias = Mapping[str, Person]
"""People by their ids: all who are named in what is shown."""


def people_of(invites: Iterable[StoredInvite]) -> set[str]:
    """Return the ids of all whom these invitations name."""
    return {user for invite in invites for user in invite.pair}


def named(names: Names, user_id: str) -> Named:
    """Return somebody under their names."""
    person = names[user_id]
    return Named(person.user_id, person.username, person.display_name)


def shown(invite: StoredInvite, names: Names) -> Invite:
    """Return an invitation as both of its people see it."""
    return Invite(
        id=invite.id,
        kind=invite.kind,
        status=invite.status,
        invitor=named(names, invite.invitor_id),
        invitee=named(names, invite.invitee_id),
        channel_id=invite.channel_id,
        channel_title=invite.channel_title,
        channel_role=invite.channel_role,
        message=invite.message,
        created_at=rfc3339(invite.created_at),
        expires_at=rfc3339(invite.expires_at),
        responded_at=rfc3339_or_none(invite.responded_at),
        metadata=dict(invite.metadata),
    )
