"""Invitations in figures, of a person or of the deployment."""

from typing import Literal

from kernel.database import Database
from modules.contacts.events import InviteKind
from modules.contacts.schemas.invites import InviteStatistics, KindCounts, StatusCounts
from modules.contacts.store import statistics as store
from modules.contacts.store.listing import Direction
from modules.contacts.store.statistics import Tally


class Statistics:
    """Counts in one query."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: str, direction: Direction) -> InviteStatistics:
        """Return somebody's own."""
        async with self._database.connection() as connection:
            return _figures("mine", await store.tally(connection, user_id, direction))

    async def of_all(self) -> InviteStatistics:
        """Return everybody's. It reads every invitation that there is."""
        async with self._database.connection() as connection:
            return _figures("all", await store.tally(connection, None, "all"))


def _figures(scope: Literal["mine", "all"], tally: Tally) -> InviteStatistics:
    return InviteStatistics(
        scope=scope,
        counts=KindCounts(contact=_of_kind(tally, "contact"), channel=_of_kind(tally, "channel")),
        total=sum(tally.counts.values()),
        acceptance_rate=_rate(tally),
        median_response_s=tally.median_s,
    )


def _of_kind(tally: Tally, kind: InviteKind) -> StatusCounts:
    return StatusCounts(**{status: count for (of, status), count in tally.counts.items() if of == kind})


def _rate(tally: Tally) -> float | None:
    """Return which part was accepted of what was neither taken back nor waits."""
    both = dict.fromkeys(("accepted", "declined", "expired"), 0)
    for (_, status), count in tally.counts.items():
        if status in both:
            both[status] += count
    ended = sum(both.values())
    return both["accepted"] / ended if ended else None
