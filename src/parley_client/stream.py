"""What waits for the application to ask for it: records, bounded and complete; ephemeral events, the newest of them.

Concurrency: everything happens on one event loop, and between two awaits.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeAlias

from parley_client.frames import Ephemeral, Record, Reset
from parley_client.sequencer import Sequencer

Event: TypeAlias = Record | Reset


class RecordStream:
    """Records on their way to whoever iterates. Without anybody, none is taken: they are asked for later."""

    def __init__(self, sequencer: Sequencer, limit: int, changed: Callable[[], None]) -> None:
        self._sequencer = sequencer
        self._limit = limit
        self._changed = changed
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._reader: weakref.ref[Records] | None = None
        self._ended = False
        self._failure: BaseException | None = None

    @property
    def is_read(self) -> bool:
        """Whether somebody iterates."""
        return self._reader is not None

    @property
    def has_room(self) -> bool:
        """Whether a record may be added."""
        return self.is_read and len(self._waiting) < self._limit

    @property
    def drained(self) -> bool:
        """Whether there is room for more than a few."""
        return self.is_read and len(self._waiting) <= self._limit // 2

    def put(self, records: Iterable[Record]) -> None:
        """Add what comes next."""
        self._waiting.extend(records)
        self._news.set()
        self._changed()

    def reset(self, reset: Reset) -> None:
        """What waits is of another history; the application gets the reset in its place."""
        self._waiting.clear()
        self._waiting.append(reset)
        self._news.set()

    def end(self, failure: BaseException | None) -> None:
        """Nothing comes any more; `failure` is raised for whoever asks, after what waits."""
        self._ended, self._failure = True, failure
        self._news.set()

    def open(self) -> "Records":
        """Return an iterator; one that was there before gets nothing any more."""
        records = Records(self)
        self._reader = weakref.ref(records, self._left)
        self._changed()
        return records

    async def next(self, reader: "Records") -> Event:
        """Wait for the next record and hand it over."""
        while self._reader is None or self._reader() is not reader or not self._waiting:
            if self._reader is None or self._reader() is not reader:
                raise RuntimeError("another iterator took over: records are for one reader")
            if self._ended:
                raise StopAsyncIteration if self._failure is None else self._failure.with_traceback(None)
            self._news.clear()
            await self._news.wait()
        event = self._waiting.popleft()
        self._sequencer.hand_over(event)
        self._changed()
        return event

    def _left(self, reader: object) -> None:
        """The iterator is gone: what it didn't ask for is asked for again when there is another."""
        if reader is not self._reader:
            return
        self._reader = None
        self._sequencer.rewind(self._waiting)
        self._waiting = deque(event for event in self._waiting if isinstance(event, Reset))
        self._changed()


class Records(AsyncIterator[Event]):
    """Iterates over all records. An `await` of it that is cancelled loses none."""

    def __init__(self, stream: RecordStream) -> None:
        self._stream = stream

    def __aiter__(self) -> "Records":
        return self

    async def __anext__(self) -> Event:
        return await self._stream.next(self)


class EphemeralStream:
    """The newest events that nobody has asked for yet; the oldest make room."""

    def __init__(self, limit: int) -> None:
        self._waiting: deque[Ephemeral] = deque(maxlen=limit)
        self._news = asyncio.Event()
        self._ended = False

    def put(self, event: Ephemeral) -> None:
        """Add an event."""
        self._waiting.append(event)
        self._news.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self._ended = True
        self._news.set()

    def __aiter__(self) -> "EphemeralStream":
        return self

    async def __anext__(self) -> Ephemeral:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
