"""Which push services and browsers are left alone for a while, and for how long. Known to this process alone.

A service that fails for several browsers in a row is put aside: 15 s, 30 s and so on up to ten minutes, or for as long
as it asks; then one message probes before the rest follow. What a service says of one browser concerns that browser
alone: some limit what each device may get, and nobody's device may silence the others.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kernel.clock import Clock
from modules.notifications.transports.web_push_codes import Reply

TROUBLE = 3
"""So many browsers in a row, and it's the service."""
FIRST_HOLD_S = 15.0
LONGEST_HOLD_S = 600.0
PROBE_S = 10.0
"""As long as a probe may take, the rest wait."""
MOST_BROWSERS = 10_000
"""Beyond so many that are held, all are let go: a process must not remember for ever."""


class Service(msgspec.Struct):
    """What is known of a push service."""

    failing: set[UUID] = msgspec.field(default_factory=set)
    """Browsers that it failed for since it last took anything."""
    holds: int = 0
    until: datetime | None = None
    probing: bool = False
    """Whether a message is under way that shows how it is by now."""


class Patience:
    """Asked before each message, told after it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._browsers: dict[UUID, datetime] = {}

    def left_s(self, origin: str, browser: UUID) -> float:
        """Return for how long to leave them alone; 0 lets one message through, and the next wait for what it finds."""
        now, service = self._clock(), self._services.get(origin, Service())
        until = [moment for moment in (self._browsers.get(browser), service.until) if moment is not None]
        left = max(((moment - now).total_seconds() for moment in until), default=0.0)
        if left <= 0 and service.until is not None:
            service.until, service.probing = now + timedelta(seconds=PROBE_S), True
        return max(left, 0.0)

    def heard(self, origin: str, browser: UUID, reply: Reply) -> None:
        """Take in what came of a message."""
        if reply.verdict not in {"busy", "ambiguous"}:
            self._services.pop(origin, None)
            self._browsers.pop(browser, None)
            return
        if reply.retry_after_s is not None:
            self._hold(browser, reply.retry_after_s)
        service = self._services.setdefault(origin, Service())
        service.failing.add(browser)
        if service.probing or (service.until is None and len(service.failing) >= TROUBLE):
            pause_s = max(FIRST_HOLD_S * 2**service.holds, reply.retry_after_s or 0)
            service.until = self._clock() + timedelta(seconds=min(pause_s, LONGEST_HOLD_S))
            service.holds, service.probing = service.holds + 1, False

    def _hold(self, browser: UUID, seconds: float) -> None:
        if len(self._browsers) >= MOST_BROWSERS:
            self._browsers.clear()
        self._browsers[browser] = self._clock() + timedelta(seconds=min(seconds, LONGEST_HOLD_S))
