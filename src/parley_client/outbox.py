"""What goes out: what is to be answered waits here until it is, however many connections that takes.

Guarantees:
- At most `window` requests are unanswered; whoever asks for more waits.
- Requests go out in the order in which they were asked, and after a reconnect the unanswered ones again, in that order.
- What is refused for the time being holds up all others, and then goes out before them.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from parley_client.asking import Ask
from parley_client.backoff import Backoff, Pace
from parley_client.errors import Refused
from parley_client.frames import Ack, ErrorFrame, Limits, Record
from parley_client.models import Problem

SIGNALS_PER_S, SIGNALS_AT_ONCE = 10, 20
"""Frames without an answer: far below what a server takes for a flood."""


class Request:
    """A frame, and what came of it."""

    def __init__(self, number: int, ask: Ask, *, retry: bool) -> None:
        self.number = number
        self.record = ask.record
        self.frame = ask.encode(str(number))
        self.retry = retry
        self.sent = False
        self.answer: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()

    def __lt__(self, other: "Request") -> bool:
        return self.number < other.number

    def fail(self, error: BaseException) -> None:
        """Give up."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Outbox:
    """Requests, signals (frames without an answer) and the connection's own urgent frames."""

    def __init__(self, window: int, backoff: Backoff, changed: Callable[[], None]) -> None:
        self._room = asyncio.Semaphore(window)
        self._backoff = backoff
        self._changed = changed
        self._numbers = 0
        self._requests: dict[str, Request] = {}
        self._due: list[Request] = []
        self._urgent: deque[bytes] = deque()
        self._signals: dict[object, bytes] = {}
        self._work = asyncio.Event()
        self._signalled = asyncio.Event()
        self._signalled.set()
        self._refusals = 0
        self._resting_until = 0.0
        self._failure: BaseException | None = None
        self.limit(Limits())

    @property
    def waits(self) -> bool:
        """Whether an answer is awaited."""
        return any(request.sent for request in self._requests.values())

    def limit(self, limits: Limits) -> None:
        """Keep to what the server accepts."""
        self._frame_bytes = limits.frame_bytes
        self._pace = Pace(per_s=limits.messages_per_s, burst=limits.message_burst)
        self._signal_pace = Pace(per_s=SIGNALS_PER_S, burst=SIGNALS_AT_ONCE)

    async def ask(self, ask: Ask, *, retry: bool = True) -> Ack:
        """Send it as often as it takes, and return the acknowledgement.

        Raises:
            Refused: the server refuses it; for the time being only if not `retry`.
            Stopped: the client stopped meanwhile.
        """
        async with self._room:
            if self._failure is not None:
                raise self._failure
            with self._request(ask, retry=retry) as request:
                return await request.answer

    def signal(self, about: object, frame: bytes) -> None:
        """Send a frame that nobody answers, in place of one about the same that hasn't gone out yet."""
        self._signals[about] = frame
        self._signalled.clear()
        self._work.set()

    async def signalled(self) -> None:
        """Wait until all signals went out."""
        await self._signalled.wait()

    def urge(self, frame: bytes) -> None:
        """Send a frame of the connection's own before all others."""
        self._urgent.append(frame)
        self._work.set()

    def connected(self, limits: Limits) -> None:
        """Send everything unanswered again, on a new connection."""
        self.limit(limits)
        self._urgent.clear()
        self._resting_until = 0.0
        for request in self._requests.values():
            request.sent = False
        self._due = sorted(self._requests.values())
        self._work.set()

    def disconnected(self) -> None:
        """What was sent is not awaited on this connection any more."""
        for request in self._requests.values():
            request.sent = False

    def settle(self, ack: Ack, user_id: str) -> Record | None:
        """Give an acknowledgement to whoever awaits it; returns the record that it stands for, if that is known."""
        self._refusals = 0
        request = self._requests.get(ack.ref)
        if request is None:
            return None
        if not request.answer.done():
            request.answer.set_result(ack)
        return request.record(ack, user_id)

    def refuse(self, frame: ErrorFrame) -> bool:
        """Give a refusal to whoever is concerned, or try again later; returns whether it was about a request."""
        request = self._requests.get(frame.ref or "")
        if request is None:
            return False
        refusal = Refused(frame.problem)
        if refusal.passes and request.retry:
            request.sent = False
            heapq.heappush(self._due, request)
            self._rest()
        else:
            request.fail(refusal)
        return True

    def fail(self, failure: BaseException) -> None:
        """Answer nothing any more."""
        self._failure = failure
        for request in self._requests.values():
            request.fail(failure)

    async def next(self) -> bytes:
        """Wait for the next frame that may go out, and return it."""
        while True:
            self._work.clear()
            frame, wait_s = self._next(asyncio.get_running_loop().time())
            if frame is not None:
                return frame
            if not self._signals:
                self._signalled.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._work.wait()

    def _next(self, now: float) -> tuple[bytes | None, float | None]:
        """Return a frame, or how long there will be none unless something is added."""
        if self._urgent:
            return self._urgent.popleft(), None
        waits = []
        if self._due:
            waits.append(max(self._pace.wait_s(now), self._resting_until - now))
            if waits[-1] <= 0:
                return self._send_due(now), 0
        if self._signals:
            waits.append(self._signal_pace.wait_s(now))
            if waits[-1] <= 0:
                self._signal_pace.take(now)
                return self._signals.pop(next(iter(self._signals))), None
        return None, min(waits, default=None)

    def _send_due(self, now: float) -> bytes | None:
        request = heapq.heappop(self._due)
        if request.answer.done():
            return None
        if len(request.frame) > self._frame_bytes:
            detail = f"{len(request.frame)} bytes; a frame may have {self._frame_bytes}"
            request.fail(Refused(Problem(type="/problems/too-large", title="Too large", status=413, detail=detail)))
            return None
        self._pace.take(now)
        request.sent = True
        self._changed()
        return request.frame

    def _rest(self) -> None:
        """The server asks for patience."""
        now = asyncio.get_running_loop().time()
        if now >= self._resting_until:
            self._resting_until = now + self._backoff.delay_s(self._refusals, 1 / SIGNALS_PER_S)
            self._refusals += 1
        self._work.set()

    @contextmanager
    def _request(self, ask: Ask, *, retry: bool) -> Iterator[Request]:
        self._numbers += 1
        request = Request(self._numbers, ask, retry=retry)
        self._requests[str(request.number)] = request
        heapq.heappush(self._due, request)
        self._work.set()
        try:
            yield request
        finally:
            del self._requests[str(request.number)]
            self._changed()
