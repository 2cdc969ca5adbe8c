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


class Task(msgspec.Struct):
    """Something wished for, and what has become of it. `text`: of the template that it names."""

    entry: PostInvite
    wish: Wish | None = None
    text: str | None = None
    outcome: Outcome | None = None
