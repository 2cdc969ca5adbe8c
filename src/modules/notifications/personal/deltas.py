"""What is told at the personal socket of what other modules publish: an entry for each kind of event.

A module's events that concern people beside their conversations are told by a frame (in `frames`) and an entry here,
and by nothing else: the post delivers them, the contract publishes them.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

import msgspec

from bus.events import Event
from realtime.frames import ServerFrame

Told: TypeAlias = Iterable[tuple[Collection[str], ServerFrame]]
"""Who is told what."""


class Delta(msgspec.Struct, frozen=True):
    """What an event of this kind, once committed, tells to whom; and whether these people's contacts are others now."""

    event: type[Event]
    tells: Callable[[Any], Told]
    changes_contacts: bool = False


DELTAS: tuple[Delta, ...] = ()
"""`invite.*` and `contact.*` come here with the module that publishes them."""
