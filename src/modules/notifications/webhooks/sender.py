"""Posts one event to one endpoint, signed, and says what came of it. What an endpoint answers reaches no log."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from kernel.clock import Clock
from kernel.egress.client import Answer, Egress, NotSent, Unclear
from kernel.egress.policy import NotAllowed
from kernel.egress.retry_after import retry_after_s
from modules.notifications.webhooks import signing
from modules.notifications.webhooks.delivery import FAULTS, THROTTLED, Attempt, Fault

log = structlog.get_logger(__name__)

TIMEOUT_S = 20.0
"""Looking up, connecting, sending and answering, together."""
NOTHING = timedelta()
ASKED_AT_MOST = timedelta(days=1)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request. `body`: of the answer, cut short."""

    attempt: Attempt
    retry_after: timedelta = NOTHING
    body: bytes = b""


class Sender:
    """Uses the guarded client: nothing is posted to addresses that aren't public, and no redirect followed."""

    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress = egress
        self._clock = clock

    async def send(self, url: str, secrets: Sequence[str], identifier: str, body: bytes) -> Sent:
        """Post, once. Whatever happens is an outcome."""
        at, begun = self._clock(), time.monotonic()
        headers = signing.headers(identifier, at, body, secrets)
        answer: Answer | None = None
        fault: Fault | None = None
        try:
            answer = await self._egress.post(url, body=body, headers=headers)
        except NotAllowed:
            fault = "not_allowed"
        except (NotSent, Unclear) as error:
            fault = _fault(error.reason)
        except Exception:
            log.exception("webhook_request_failed")
            fault = "internal"
        duration_ms = round((time.monotonic() - begun) * 1000)
        if answer is None:
            return Sent(attempt=Attempt(at=at, duration_ms=duration_ms, fault=fault))
        return self._answered(answer, at, duration_ms)

    def _answered(self, answer: Answer, at: datetime, duration_ms: int) -> Sent:
        attempt = Attempt(at=at, duration_ms=duration_ms, status=answer.status)
        if not attempt.taken:
            attempt = msgspec.structs.replace(attempt, fault="http_status")
        retry_after = NOTHING
        if answer.status in THROTTLED:
            asked = retry_after_s(answer.headers.get("Retry-After"), self._clock()) or 0.0
            retry_after = min(ASKED_AT_MOST, timedelta(seconds=asked))
        return Sent(attempt=attempt, retry_after=retry_after, body=answer.body)


def _fault(reason: str) -> Fault:
    return next((known for known in FAULTS if known == reason), "connection_lost")
