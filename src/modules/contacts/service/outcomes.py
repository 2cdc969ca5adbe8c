"""What becomes of each of several wishes."""

from typing import Literal, TypeAlias

import msgspec

from kernel.errors import ParleyError
from modules.contacts.domain.judging import Wish
from modules.contacts.events import Invite
from modules.contacts.schemas.inviting import PostInvite


class Invited(msgspec.Struct, frozen=True):
    """The invitation that was made, or that of the other one, which was accepted."""

    status: Literal["created", "accepted"]
    invite: Invite


Outcome: TypeAlias = Invited | ParleyError


class Asked(msgspec.Struct, frozen=True):
    """Something asked for that is right by itself. `text`: of the template that it names."""

    entry: PostInvite
    text: str | None


class Task(msgspec.Struct, frozen=True):
    """The same, about somebody who was found: to be decided on."""

    entry: PostInvite
    text: str | None
    wish: Wish
