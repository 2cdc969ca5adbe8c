"""Badges: everybody with a personal socket is told what is unread, when that has changed.

Overview: what hints name is counted by one task, as much as has come in one query for each `CHUNK` of it, and told to
every personal socket of those whom it concerns. After each round the task rests for as long as that took, so that
badges never take more than half of one connection, and what changes meanwhile is counted once.

Guarantees:
- A badge holds what was committed when it was counted; after the last change its counts are the inbox's.
- When hints may have been lost, everything that was recorded or read since then is counted afresh, here and, told so
  by NOTIFY, on the other instances, which missed what this one had to say; while they are out of reach, again every
  `ALONE_S`.
- With the database away, badges are told when it is back.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from kernel.clock import now, rfc3339_or_none
from kernel.database import Database
from kernel.errors import UnavailableError
from kernel.signals import notify
from modules.notifications.personal.frames import Badge
from modules.notifications.personal.latest import Latest
from modules.notifications.personal.ports import Counts, Pair, Unread
from realtime.company import Visitors
from realtime.frame import Frame
from realtime.frames import frame
from realtime.hub import Hub

T = TypeVar("T")

log = structlog.get_logger(__name__)

AWAY_SIGNAL = "parley_badges"
"""Signalled, with the time since when, by an instance that others may not have heard."""
REST_S = 0.05
RETRY_S = 0.5
ALONE_S = 5.0
CHUNK = 1_000
MARGIN = timedelta(seconds=10)
"""An outage is noticed two seconds later, and the clocks of two machines differ."""


class Badges:
    """Counts and tells; `start` it once, and `stop` it."""

    def __init__(self, *, database: Database, hub: Hub, visitors: Visitors, counts: Counts) -> None:
        self._database = database
        self._hub = hub
        self._visitors = visitors
        self._counts = counts
        self._latest = Latest()
        self._due: set[Pair] = set()
        self._doubt_since: datetime | None = None
        self._others_in_doubt = False
        self._awake = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def changed(self, pairs: Iterable[Pair]) -> None:
        """Count these soon."""
        self._due.update(pairs)
        self._awake.set()

    def in_doubt(self) -> None:
        """Have everybody count what has changed lately: instances may not have heard each other."""
        self._mutual_doubt(now() - MARGIN)

    def missed_something(self) -> None:
        """Count here what has changed lately."""
        self._doubt(now() - MARGIN)

    def other_was_away(self, since: str) -> None:
        """Count here what has changed since then."""
        self._doubt(datetime.fromisoformat(since))

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="badges")

    async def stop(self) -> None:
        """End."""
        self._latest.stop()
        if self._again is not None:
            self._again.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _mutual_doubt(self, since: datetime) -> None:
        self._others_in_doubt = True
        self._doubt(since)

    def _doubt(self, since: datetime) -> None:
        self._doubt_since = since if self._doubt_since is None else min(since, self._doubt_since)
        self._awake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._awake.wait()
            self._awake.clear()
            began = loop.time()
            try:
                await self._look_back()
                await self._round()
            except Exception as error:
                if not isinstance(error, UnavailableError):
                    log.exception("badges_failed")
                await asyncio.sleep(RETRY_S)
                self._awake.set()
            await asyncio.sleep(max(REST_S, loop.time() - began))

    async def _look_back(self) -> None:
        """Find what may have changed unheard. A doubt that comes meanwhile is looked into by another look."""
        since, self._doubt_since = self._doubt_since, None
        if since is None:
            return
        began = now()
        try:
            await self._tell_others(since)
            for people in _chunks(list(self._visitors.people)):
                self._due.update(await self._counts.changed(people, since))
        except BaseException:
            self._doubt_since = since
            raise
        if not self._hub.backplane.connected:
            self._again = asyncio.get_running_loop().call_later(ALONE_S, self._mutual_doubt, began - MARGIN)

    async def _tell_others(self, since: datetime) -> None:
        if self._others_in_doubt:
            async with self._database.connection() as connection:
                await notify(connection, AWAY_SIGNAL, since.isoformat())
            self._others_in_doubt = False

    async def _round(self) -> None:
        due, self._due = self._due, set()
        try:
            for pairs in _chunks([pair for pair in due if pair[0] in self._visitors.people]):
                self._tell(await self._counts.unread(pairs))
                due.difference_update(pairs)
        except BaseException:
            self._due |= due
            raise

    def _tell(self, unread: Iterable[Unread]) -> None:
        for one in unread:
            badge = _badge(one)
            for connection in self._visitors.connections_of(one.user_id):
                self._latest.put(connection, one.channel_id, badge)


def _chunks(things: Sequence[T]) -> Iterator[Sequence[T]]:
    return (things[start : start + CHUNK] for start in range(0, len(things), CHUNK))


def _badge(unread: Unread) -> Frame:
    return frame(
        Badge(
            channel_id=unread.channel_id,
            unread_count=unread.unread_count,
            total_unread=unread.total_unread,
            sender_id=unread.sender_id,
            message_id=unread.message_id,
            created_at=rfc3339_or_none(unread.created_at),
        )
    )
