"""Presence: what others may ask about people's devices.

Overview: an open socket is a device. It is active while its last sign of life is younger than `PARLEY_AWAY_AFTER_S`.
A person is online with an active device, away with devices none of which is active, and offline without any. Each
instance knows its own devices (a `Sighting` of each person); together they know the person.

Guarantees: a hint, and never in the way. Nothing here raises, and nothing waits for longer than a second. While
instances can't hear of each other, each answers with what it sees itself.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

import msgspec

from realtime.attention import Attention

StatusName: TypeAlias = Literal["online", "away", "offline"]
OnChange: TypeAlias = Callable[[str], None]
OnDoubt: TypeAlias = Callable[[], None]


class Status(msgspec.Struct, frozen=True):
    """Whether a person is there; `last_seen_at`, of who is offline, is when their last device went, where known."""

    status: StatusName
    last_seen_at: datetime | None = None


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """What one instance sees of a person: sockets, whether one of them is active, channels on active screens."""

    sockets: int
    active: bool
    on_screen: frozenset[UUID]


class Presence(Protocol):
    """Asked by whoever decides on disturbing people, and by whoever shows that they are there."""

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """Return where the eyes of each person are."""
        ...

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, Status]:
        """Return whether each person is there."""
        ...

    def on_change(self, handler: OnChange) -> None:
        """Call `handler` with each person whose devices here have changed, once other instances can know."""
        ...

    def on_doubt(self, handler: OnDoubt) -> None:
        """Call `handler` when what other instances see may have changed for anybody."""
        ...

    async def start(self) -> None:
        """Begin to tell the others. Never fails because they are out of reach."""
        ...

    async def stop(self) -> None:
        """Tell them that nobody is here any more."""
        ...


def attention_of(sightings: Iterable[Sighting]) -> Attention:
    """Return a person's attention, from what each instance sees."""
    seen = list(sightings)
    return Attention(
        online=bool(seen),
        active=any(sighting.active for sighting in seen),
        on_screen=frozenset().union(*(sighting.on_screen for sighting in seen)),
    )


def status_of(sightings: Iterable[Sighting]) -> StatusName:
    """Return a person's status, from what each instance sees."""
    seen = list(sightings)
    if not seen:
        return "offline"
    return "online" if any(sighting.active for sighting in seen) else "away"


def now_ms() -> int:
    """Return the time of the clock in milliseconds since 1970."""
    return int(time.time() * 1000)
