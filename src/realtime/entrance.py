"""The way in: how many sockets there may be, how many of them on their way in, and how many of those join at once.

Overview: a socket is a guest from its handshake on. It shows its credential at its own pace, waits for its turn, is
authenticated and joins; then it counts as open only. After a restart everybody comes back at the same moment. They
take turns in the order in which they come, and leave half of the pool to everything else.

Concurrency: single-threaded, on the event loop.

Guarantees:
- Who finds the server full, stopping or without its database is refused before the upgrade, with a time to come back
  that differs from guest to guest; the refusal names the limit.
- Waiting for a turn is bounded too, and no part of the time that a peer has to authenticate.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kernel.backoff import spread
from kernel.errors import UnavailableError
from kernel.settings import Settings

TURN_WITHIN_S = 10.0
COME_BACK_WITHIN_S = 5.0
PAUSE_S = 1.0
"""So long nobody is let in after somebody couldn't join."""


class Guest:
    """One socket on its way in."""

    def __init__(self, entrance: "Entrance") -> None:
        self._entrance = entrance
        self._has_turn = False

    async def turn(self) -> None:
        """Wait until it is this one's turn to join.

        Raises:
            UnavailableError: that takes too long.
        """
        try:
            async with asyncio.timeout(TURN_WITHIN_S):
                await self._entrance.turns.acquire()
        except TimeoutError:
            raise UnavailableError(f"No turn to join within {TURN_WITHIN_S:g} s") from None
        self._has_turn = True

    def joined(self) -> None:
        """Make room for the next."""
        self._entrance.joining.discard(self)
        if self._has_turn:
            self._has_turn = False
            self._entrance.turns.release()


class Entrance:
    """Knows whether one more may come in, by whichever endpoint: it is the process that has room or not."""

    def __init__(self, settings: Settings) -> None:
        self._max_sockets = settings.max_sockets
        self._max_joining = settings.max_joining
        self.turns = asyncio.Semaphore(max(1, settings.database_pool_size // 2))
        self.joining: set[Guest] = set()
        self._open = 0
        self._paused_until = 0.0
        self._why_paused = ""
        self._closed = False

    def refusal(self) -> UnavailableError | None:
        """Return why nobody may come in now, or None."""
        why = self._obstacle()
        if why is None:
            return None
        return UnavailableError(why, retry_after_s=spread(0, COME_BACK_WITHIN_S))

    @contextmanager
    def guest(self) -> Iterator[Guest]:
        """Count a socket for as long as it lives."""
        guest = Guest(self)
        self._open += 1
        self.joining.add(guest)
        try:
            yield guest
        finally:
            self._open -= 1
            guest.joined()

    def pause(self, why: UnavailableError) -> None:
        """Let nobody in for a moment: the next would fail as the last did."""
        self._paused_until = time.monotonic() + PAUSE_S
        self._why_paused = why.detail

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True

    @property
    def deserted(self) -> bool:
        """Whether there is no socket at all, not even on its way in, nor will be: nobody is let in any more."""
        return self._closed and not self._open

    def _obstacle(self) -> str | None:
        if self._closed:
            return "The server is restarting"
        if time.monotonic() < self._paused_until:
            return self._why_paused
        if self._open >= self._max_sockets:
            return f"At most {self._max_sockets} sockets here"
        if len(self.joining) >= self._max_joining:
            return f"At most {self._max_joining} sockets on their way in"
        return None
