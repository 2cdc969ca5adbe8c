"""Feeds: the frames of each channel reach the sockets of this process in the order of the log, with nothing left out.

Overview: frames come from commits of this process, and by the backplane from other instances, in whatever order. For
each channel that somebody listens to here there is a feed, which gathers frames from its first listener on. As soon as
one of them has read where the log ends it knows up to which seq it has delivered. The next seq passes at once; a later
one waits a moment for those before it, and then the log is read.

Concurrency: on the event loop; only reading the log awaits, one reader a channel, and what comes meanwhile waits.

Guarantees:
- What listeners get of a channel is without gap, in order, each record once, whatever the backplane lost or repeated.
- What is said to be in the log is delivered, whoever says it: a record, an ack or a head.
- What is to follow a record (an ack) is never left out, and comes after it.
- With PostgreSQL away a gap stays open, and is closed when it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import structlog

from kernel.errors import UnavailableError

log = structlog.get_logger(__name__)

GAP_S = 0.03
"""How long a later record waits for an earlier one that is under way, before the log is read."""
AWAY_S = 0.5
"""Until the log is tried again."""
PAGE = 500
UNKNOWN = -1
"""Where a feed stands whose listeners have yet to find out where the log ends."""

Deliver = Callable[[], None]
Read = Callable[[UUID, int, int], Awaitable[list[tuple[int, Deliver]]]]
"""Reads the records of a channel after a seq, so many at most, each with its delivery."""


class Feed:
    """The feed of one channel."""

    __slots__ = ("ahead", "first", "following", "goal", "idle", "position", "reader", "timer")

    def __init__(self) -> None:
        self.first = self.position = UNKNOWN
        self.goal = 0
        self.idle = False
        self.ahead: dict[int, Deliver] = {}
        self.following: dict[int, list[Deliver]] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.reader: asyncio.Task[None] | None = None

    @property
    def wants(self) -> bool:
        """Whether there is more than was delivered."""
        return bool(self.ahead or self.following) or self.goal > self.position


class Feeds:
    """The feeds of this process. A channel without listeners has none: frames for it go nowhere."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._feeds: dict[UUID, Feed] = {}

    def open(self, channel_id: UUID) -> None:
        """Gather what comes for a channel from now on; `start` says where in the log that is."""
        feed = self._feeds.get(channel_id)
        if feed is None:
            self._feeds[channel_id] = Feed()
        else:
            feed.idle = False

    def start(self, channel_id: UUID, position: int) -> bool:
        """Deliver an open channel from the record after `position` on, unless that has begun already.

        Who read that the log ends at `position` did so after the channel was opened: what came later was gathered.

        Returns:
            Whether a listener that knows the log up to `position` now hears all that follows; if not, it has to read
            the log again.
        """
        feed = self._feeds.get(channel_id)
        if feed is None:
            return True
        if feed.position == UNKNOWN:
            feed.first = position
            _skip_to(feed, position)
            _let_through(feed)
            if feed.wants:
                self._wait(channel_id, feed)
        return position >= feed.first

    def stop(self, channel_id: UUID) -> None:
        """Follow it no more from the end of this turn on, unless it is opened again: who leaves may come back in it."""
        feed = self._feeds.get(channel_id)
        if feed is not None and not feed.idle:
            feed.idle = True
            asyncio.get_running_loop().call_soon(self._end, channel_id, feed)

    def offer(self, channel_id: UUID, seq: int, deliver: Deliver) -> None:
        """Deliver the record `seq` when its turn comes; nothing happens when it was delivered already."""
        feed = self._feeds.get(channel_id)
        if feed is None or seq <= feed.position:
            return
        if seq == feed.position + 1 and feed.reader is None:
            _advance(feed, seq, deliver)
            if feed.ahead:  # what follows this record, an ack, is given to `after` in this turn
                feed.ahead.pop(seq, None)
                asyncio.get_running_loop().call_soon(_let_through, feed)
        else:
            feed.ahead.setdefault(seq, deliver)
            self._wait(channel_id, feed)

    def after(self, channel_id: UUID, seq: int, deliver: Deliver) -> None:
        """Deliver what is to follow the record `seq`."""
        feed = self._feeds.get(channel_id)
        if feed is None or seq <= feed.position:
            deliver()
        else:
            feed.following.setdefault(seq, []).append(deliver)
            self._wait(channel_id, feed)

    def reach(self, channel_id: UUID, seq: int) -> None:
        """Read the log unless all up to `seq` was delivered: somebody says that it is there."""
        feed = self._feeds.get(channel_id)
        if feed is not None and seq > feed.position:
            feed.goal = max(feed.goal, seq)
            self._catch_up(channel_id, feed)

    def reach_all(self, heads: Mapping[UUID, int]) -> None:
        """As `reach`, for many."""
        for channel_id, seq in heads.items():
            self.reach(channel_id, seq)

    async def settled(self) -> None:
        """Wait until everything has been delivered that is to follow a record."""
        while any(feed.following for feed in self._feeds.values()):  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(GAP_S)

    @property
    def channels(self) -> list[UUID]:
        """Those that are followed."""
        return list(self._feeds)

    def _end(self, channel_id: UUID, feed: Feed) -> None:
        if feed.idle and self._feeds.get(channel_id) is feed:
            del self._feeds[channel_id]
            _cancel(feed)

    def _wait(self, channel_id: UUID, feed: Feed) -> None:
        if feed.timer is None and feed.reader is None and feed.position != UNKNOWN:
            feed.timer = asyncio.get_running_loop().call_later(GAP_S, self._catch_up, channel_id, feed)

    def _catch_up(self, channel_id: UUID, feed: Feed) -> None:
        if feed.timer is not None:
            feed.timer.cancel()
            feed.timer = None
        if feed.reader is None and feed.position != UNKNOWN and self._feeds.get(channel_id) is feed:
            feed.reader = asyncio.create_task(self._read_up(channel_id, feed), name="feed")

    async def _read_up(self, channel_id: UUID, feed: Feed) -> None:
        """Deliver from the log up to its end; what is appended after that is told as ever."""
        more = True
        try:
            while more:
                page = await self._read(channel_id, feed.position, PAGE)
                for seq, deliver in page:
                    _advance(feed, seq, feed.ahead.pop(seq, deliver))
                _let_through(feed)
                more = len(page) == PAGE
        except Exception as error:
            if not isinstance(error, UnavailableError):
                log.exception("catching_up_failed")
            feed.timer = asyncio.get_running_loop().call_later(AWAY_S, self._catch_up, channel_id, feed)
        finally:
            feed.reader = None
        if feed.wants:
            self._wait(channel_id, feed)


def _advance(feed: Feed, seq: int, deliver: Deliver) -> None:
    feed.position = seq
    _call(deliver)
    for follow in feed.following.pop(seq, ()) if feed.following else ():
        _call(follow)


def _skip_to(feed: Feed, position: int) -> None:
    """Who listens knows all up to `position` by now."""
    feed.position = position
    for seq in [seq for seq in feed.ahead if seq <= position]:
        del feed.ahead[seq]
    for seq in sorted(seq for seq in feed.following if seq <= position):
        for follow in feed.following.pop(seq):
            _call(follow)


def _let_through(feed: Feed) -> None:
    """Deliver what was ahead and is next by now."""
    while feed.ahead and (deliver := feed.ahead.pop(feed.position + 1, None)) is not None:
        _advance(feed, feed.position + 1, deliver)


def _call(deliver: Deliver) -> None:
    try:
        deliver()
    except Exception:
        log.exception("delivery_failed")


def _cancel(feed: Feed) -> None:
    if feed.timer is not None:
        feed.timer.cancel()
    if feed.reader is not None:
        feed.reader.cancel()
    feed.ahead.clear()
    while feed.following:
        for deliver in feed.following.pop(min(feed.following)):
            _call(deliver)
