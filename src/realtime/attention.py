"""Where a person's eyes are: a value for those who decide whether to disturb."""

from uuid import UUID

import msgspec


class Attention(msgspec.Struct, frozen=True):
    """A person's attention, over all their devices."""

    online: bool = False
    """At least one open socket."""
    active: bool = False
    """The person touched a device lately (`PARLEY_AWAY_AFTER_S`)."""
    on_screen: frozenset[UUID] = frozenset()
    """Channels shown on an active device."""
