"""Marks: how far people have come.

Overview: what is asked while one commit is under way is committed together by the next, in one statement. Of what one
person asks in one channel only the furthest counts. While nothing is asked, nothing runs.

Guarantees:
- Marks only move forward, and never past the head. Who has read, has also been delivered to.
- Whoever is answered, or told, is told what was committed.
- `chat.channel.read` is published, in the same transaction, exactly when a read mark moves.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from uuid import UUID

import structlog

from bus import Bus
from kernel.database import Database, Transaction
from kernel.errors import ParleyError, UnavailableError
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.events import ChannelRead
from modules.messaging.schemas.marks import Marks
from modules.messaging.store import marks as store
from modules.messaging.store.marks import Reached

log = structlog.get_logger(__name__)

BATCH = 500
STOP_WITHIN_S = 5
STOPPING = "The server is stopping"

Key = tuple[UUID, str]
Outcome = Marks | ParleyError


class Wish:
    """How far somebody's marks are to move in a channel."""

    __slots__ = ("delivered", "read", "settled")

    def __init__(self) -> None:
        self.delivered = self.read = 0
        self.settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def reach(self, seq: int, *, read: bool) -> None:
        """Want it there as well."""
        self.delivered = max(self.delivered, seq)
        if read:
            self.read = max(self.read, seq)


class Marking:
    """Moves marks, and tells `tell` of those that moved, after the commit."""

    def __init__(self, database: Database, bus: Bus, tell: Callable[[Sequence[Marks]], None]) -> None:
        self._database = database
        self._bus = bus
        self._tell = tell
        self._waiting: dict[Key, Wish] = {}
        self._task: asyncio.Task[None] | None = None

    async def mark(self, user_id: str, channel_id: UUID, seq: int, *, read: bool) -> Marks:
        """Move the caller's marks forward and return where they are.

        Raises:
            ChannelNotFoundError: no such channel, or not the caller's.
            UnavailableError: it isn't known whether they moved; asking again does no harm.
        """
        wish = self._waiting.get((channel_id, user_id))
        if wish is None:
            wish = self._waiting[channel_id, user_id] = Wish()
        wish.reach(seq, read=read)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="marks")
        outcome = await asyncio.shield(wish.settled)
        if isinstance(outcome, ParleyError):
            raise outcome
        return outcome

    async def stop(self) -> None:
        """Commit what is asked, for at most five seconds."""
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, STOP_WITHIN_S)

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(islice(self._waiting, BATCH))
                await self._commit({key: self._waiting.pop(key) for key in keys})
        finally:
            self._task = None
            _settle(self._waiting, {}, UnavailableError(STOPPING))
            self._waiting.clear()

    async def _commit(self, wishes: dict[Key, Wish]) -> None:
        outcomes: dict[Key, Outcome] = {}
        otherwise: ParleyError = UnavailableError(STOPPING)
        try:
            async with self._database.transaction() as tx:
                reached = await self._move(tx, wishes)
            outcomes = {(one.channel_id, one.user_id): _marks(one) for one in reached}
            otherwise = ChannelNotFoundError()
        except ParleyError as error:
            otherwise = error
        except Exception:
            log.exception("marking_failed", marks=len(wishes))
            otherwise = UnavailableError("The marks could not be moved; try again")
        finally:
            _settle(wishes, outcomes, otherwise)

    async def _move(self, tx: Transaction, wishes: dict[Key, Wish]) -> list[Reached]:
        reached = await store.move(tx.connection, [(*key, wish.delivered, wish.read) for key, wish in wishes.items()])
        await self._bus.publish(tx, *(_event(one) for one in reached if one.read_moved))
        tx.after_commit(partial(self._tell, [_marks(one) for one in reached if one.moved]))
        return reached


def _settle(wishes: Mapping[Key, Wish], outcomes: Mapping[Key, Outcome], otherwise: ParleyError) -> None:
    for key, wish in wishes.items():
        wish.settled.set_result(outcomes.get(key, otherwise))


def _marks(reached: Reached) -> Marks:
    return Marks(reached.channel_id, reached.user_id, reached.delivered, reached.read)


def _event(reached: Reached) -> ChannelRead:
    return ChannelRead(channel_id=reached.channel_id, user_id=reached.user_id, last_read_seq=reached.read)
