"""Receipts that the backplane lost are told again, once it is known that some may be missing.

Overview: a receipt is told when a mark has moved, and then forgotten; so what was lost on its way is looked for in the
database. `marks.snapshot` names places in its history, which mean the same to every instance. Now and then, while all
is well, this one notes such a place; after a doubt it reads, for the channels that are listened to here, the marks
that have moved since a place from before, and tells its own sockets of them. Who was away also tells the others, by
NOTIFY, since when: they missed what it had to say, and knew nothing of it.

Concurrency: one task on the event loop.

Guarantees:
- While the backplane is away, and once when it is back, sockets here are told of every mark that has moved on other
  instances, within a few seconds; those of who was cut off are told to the sockets of the others, too.
- So is what moved in a channel between its first listener's coming here and the backplane's taking the subscription.
- While nothing is in doubt that costs one small query every `PERIOD_S`. Looking, in chunks, takes no more than a tenth
  of the time.
- A receipt may be told twice, and one that is told again may be behind a later one that was not lost.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from kernel.database import Database
from kernel.errors import UnavailableError
from kernel.signals import notify
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.gateway.receipts import Receipts
from modules.messaging.store import marks
from realtime.hub import Hub

log = structlog.get_logger(__name__)

MARKS_SIGNAL = "parley_marks"
PERIOD_S = 2.0
PLACES = 5
"""Kept, so that the oldest is from long before a loss is noticed."""
GATHER_S = 0.2
"""In which many hints become one look."""
SHARE = 10
"""So many times as long as a look took there is none for everything."""
CHUNK = 200


class Retelling:
    """Runs beside the gateway where there are other instances; `start` it once, and `stop` it."""

    def __init__(self, *, database: Database, hub: Hub, broadcast: Broadcast, receipts: Receipts) -> None:
        self._database = database
        self._backplane = hub.backplane
        self._feeds = broadcast.feeds
        self._receipts = receipts
        self._places: deque[int] = deque(maxlen=PLACES)
        self._untold_since: int | None = None
        self._unheard_since: int | None = None
        self._told = (0, -1)
        self._late: set[UUID] = set()
        self._look_again_at = 0.0
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        hub.on_doubt(self._doubt)
        broadcast.on_late(self._listened_late)

    def start(self) -> None:
        """Begin, with noting a place: who comes first is told of what moves from then on."""
        self._awake.set()
        self._task = asyncio.create_task(self._run(), name="retelling")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def others_were_away(self, since: str) -> None:
        """Another instance could not tell what has moved since this place; part of it may have been told already."""
        place, (begin, end) = int(since), self._told
        self._untold_since = _earlier(self._untold_since, max(place, end) if begin <= place else place)
        self._awake.set()

    def anything_moved(self) -> None:
        """What others say by NOTIFY may have been lost."""
        if self._places:
            self._untold_since = _earlier(self._untold_since, self._places[0])

    def _doubt(self) -> None:
        if not self._backplane.connected and self._places:
            self._untold_since = _earlier(self._untold_since, self._places[0])
            self._unheard_since = _earlier(self._unheard_since, self._places[len(self._places) // 2])
        self._awake.set()

    def _listened_late(self, channel_id: UUID) -> None:
        if self._task is not None:
            self._late.add(channel_id)
            self._awake.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_S):
                    await self._awake.wait()
                    await asyncio.sleep(GATHER_S)
            self._awake.clear()
            try:
                await self._look()
            except UnavailableError:
                await asyncio.sleep(PERIOD_S)
            except Exception:
                log.exception("retelling_failed")
                await asyncio.sleep(PERIOD_S)

    async def _look(self) -> None:
        """Note where the history is, and tell what may not have been told up to there."""
        if not self._places:
            self._places.append(await self._place(back=False))
        await self._backplane.settled()
        connected = self._backplane.connected
        place = await self._place(back=connected)
        if self._untold_since is not None and time.monotonic() >= self._look_again_at:
            await self._tell_everything(place)
        if self._late:
            await self._tell_late(self._places[0] if self._places else place)
        if connected:
            self._places.append(place)
        else:
            self._untold_since = _earlier(self._untold_since, place)
            self._unheard_since = _earlier(self._unheard_since, place)

    async def _place(self, *, back: bool) -> int:
        """Return where the history is; after an outage that is over, say to the others since when it was."""
        async with self._database.connection() as connection:
            place = await marks.snapshot(connection)
            if back and self._unheard_since is not None:
                await notify(connection, MARKS_SIGNAL, str(self._unheard_since))
                self._unheard_since = None
        return place

    async def _tell_everything(self, place: int) -> None:
        """Tell what has moved since the earliest doubt; `place` is where the history was before that is read."""
        since, self._untold_since = self._untold_since or 0, None
        began = time.monotonic()
        try:
            await self._tell(self._feeds.channels, since)
        except BaseException:
            self._untold_since = _earlier(self._untold_since, since)
            raise
        ended = time.monotonic()
        self._look_again_at = ended + SHARE * (ended - began)
        begin, end = self._told
        self._told = (begin if begin <= since <= end else since, place)

    async def _tell_late(self, since: int) -> None:
        late, self._late = self._late, set()
        try:
            await self._tell(list(late), since)
        except BaseException:
            self._late |= late
            raise

    async def _tell(self, channels: Sequence[UUID], since: int) -> None:
        for start in range(0, len(channels), CHUNK):
            async with self._database.connection() as connection:
                moved = await marks.moved_since(connection, channels[start : start + CHUNK], since)
            self._receipts.tell_here(moved)


def _earlier(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)
