"""What goes out: what is to be answered waits here until it is, however many connections that takes.

Guarantees:
- At most `window` requests are unanswered; whoever asks for more waits.
- Requests go out in the order in which they came, and after a reconnect the unanswered ones again, in that order.
- What is refused for the time being holds up all others, and then goes out before them.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from parley_client.backoff import Backoff, Pace
from parley_client.errors import Refused
from parley_client.frames import Ack, ErrorFrame, Limits, Record
from parley_client.models import Problem
from parley_client.requests import Request

SIGNALS_PER_S, SIGNALS_AT_ONCE = 10, 20
"""Frames without an answer: far below what a server takes for a flood."""

PRUDENCE = 0.8
"""Part of the server's limits that is made use of: what is sent evenly may arrive all at once."""


class Pending:
    """A request that waits for its answer."""

    def __init__(self, number: int, request: Request, *, retry: bool) -> None:
        self.number = number
        self.record = request.record
        self.frame = request.encode(str(number))
        self.retry = retry
        self.sent = False
        self.answer: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()

    def __lt__(self, other: "Pending") -> bool:
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
        self._unanswered: dict[str, Pending] = {}
        self._due: list[Pending] = []
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
        return any(pending.sent for pending in self._unanswered.values())

    def limit(self, limits: Limits) -> None:
        """Keep to what the server accepts."""
        self._frame_bytes = limits.frame_bytes
        self._pace = Pace(per_s=limits.messages_per_s * PRUDENCE, burst=limits.message_burst * PRUDENCE)
        self._signal_pace = Pace(per_s=SIGNALS_PER_S, burst=SIGNALS_AT_ONCE)

    async def ask(self, request: Request, *, retry: bool = True) -> Ack:
        """Send it as often as it takes, and return the acknowledgement.

        Raises:
            Refused: the server refuses it; for the time being only if not `retry`.
            Stopped: the client stopped meanwhile.
        """
        async with self._room:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            with self._pending(request, retry=retry) as pending:
                return await pending.answer

    def check(self, frame: bytes) -> None:
        """Let pass what fits a frame.

        Raises:
            Refused: the server would hang up for it.
        """
        if len(frame) > self._frame_bytes:
            detail = f"{len(frame)} bytes; a frame may have {self._frame_bytes}"
            raise Refused(Problem(type="/problems/too-large", title="Too large", status=413, detail=detail))

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
        for pending in self._unanswered.values():
            pending.sent = False
        self._due = sorted(self._unanswered.values())
        self._work.set()

    def disconnected(self) -> None:
        """What was sent is not awaited on this connection any more."""
        for pending in self._unanswered.values():
            pending.sent = False

    def settle(self, ack: Ack, user_id: str) -> Record | None:
        """Give an acknowledgement to whoever awaits it; returns the record that it stands for, if that is known."""
        self._refusals = 0
        pending = self._unanswered.get(ack.ref)
        if pending is None:
            return None
        if not pending.answer.done():
            pending.answer.set_result(ack)
        return pending.record(ack, user_id)

    def refuse(self, frame: ErrorFrame) -> bool:
        """Give a refusal to whoever is concerned, or try again later; returns whether it was about a pending."""
        pending = self._unanswered.get(frame.ref or "")
        if pending is None:
            return False
        refusal = Refused(frame.problem)
        if refusal.passes and pending.retry:
            pending.sent = False
            heapq.heappush(self._due, pending)
            self._rest()
        else:
            pending.fail(refusal)
        return True

    def fail(self, failure: BaseException) -> None:
        """Answer nothing any more."""
        self._failure = failure
        for pending in self._unanswered.values():
            pending.fail(failure)

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
        pending = heapq.heappop(self._due)
        if pending.answer.done():
            return None
        try:
            self.check(pending.frame)
        except Refused as refused:
            pending.fail(refused)
            return None
        self._pace.take(now)
        pending.sent = True
        self._changed()
        return pending.frame

    def _rest(self) -> None:
        """The server asks for patience."""
        now = asyncio.get_running_loop().time()
        if now >= self._resting_until:
            self._resting_until = now + self._backoff.delay_s(self._refusals, 1 / SIGNALS_PER_S)
            self._refusals += 1
        self._work.set()

    @contextmanager
    def _pending(self, request: Request, *, retry: bool) -> Iterator[Pending]:
        self._numbers += 1
        pending = Pending(self._numbers, request, retry=retry)
        self._unanswered[str(pending.number)] = pending
        heapq.heappush(self._due, pending)
        self._work.set()
        try:
            yield pending
        finally:
            del self._unanswered[str(pending.number)]
            self._changed()
