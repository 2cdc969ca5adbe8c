"""Push to browsers (RFC 8030), encrypted for each of them.

A message goes to all browsers of a person at once, to each with one request; it counts as accepted when any push
service took it. Push services are many, and which of them is called is up to the browser. So what one of them answers
says nothing of the others, and never holds up push as a whole: one that fails is put aside here (see `Patience`).
"""

import asyncio
from collections.abc import Sequence

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from kernel.clock import Clock
from kernel.egress.client import Egress, NotSent, Unclear
from kernel.egress.policy import NotAllowed, parse
from kernel.egress.retry_after import retry_after_s
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.transports import Outgoing, Subscription
from modules.notifications.transports.web_push_codes import Reply, reply
from modules.notifications.transports.web_push_message import authorization, encrypted, headers, payload
from modules.notifications.transports.web_push_patience import Patience

log = structlog.get_logger(__name__)

TIMEOUT_S = 8.0
"""For each request, so that all of them together, which start at once, end within a transport's time."""


class WebPush:
    """Sends push messages. `subject`: who runs this, as push services may want to reach them."""

    name = "push"

    def __init__(self, *, key: EllipticCurvePrivateKey, subject: str, egress: Egress, clock: Clock) -> None:
        self._key = key
        self._subject = subject
        self._egress = egress
        self._clock = clock
        self._patience = Patience(clock)

    async def send(self, message: Outgoing) -> Outcome:
        """Send to all browsers at once."""
        data = payload(message)
        subscriptions = message.to.subscriptions
        replies = await asyncio.gather(*(self._send_or_tell(message, data, one) for one in subscriptions))
        for one, told in zip(subscriptions, replies, strict=True):
            if told.verdict != "accepted":
                log.warning("push_not_accepted", subscription_id=str(one.id), verdict=told.verdict, reason=told.reason)
        return _together(message, list(zip(subscriptions, replies, strict=True)))

    async def close(self) -> None:
        """Close the connections to push services."""
        await self._egress.close()

    async def _send_or_tell(self, message: Outgoing, data: bytes, to: Subscription) -> Reply:
        origin = parse(to.endpoint).origin
        if (left_s := self._patience.left_s(origin, to.id)) > 0:
            return Reply("busy", "push_held", left_s)
        told = await self._call(message, data, to, origin)
        self._patience.heard(origin, to.id, told)
        return told

    async def _call(self, message: Outgoing, data: bytes, to: Subscription, origin: str) -> Reply:
        try:
            body = encrypted(data, to)
            told = headers(message, authorization(self._key, self._subject, origin))
            answer = await self._egress.post(to.endpoint, body=body, headers=told)
        except NotAllowed:
            return Reply("refused", "endpoint_not_allowed")
        except NotSent as error:
            return Reply("busy", error.reason)
        except Unclear as error:
            return Reply("ambiguous", error.reason)
        except Exception:
            log.exception("push_failed", subscription_id=str(to.id))
            return Reply("ambiguous", "push_failed")
        return reply(answer, retry_after_s(answer.headers.get("Retry-After"), self._clock()))


def _together(message: Outgoing, replies: Sequence[tuple[Subscription, Reply]]) -> Outcome:
    """Return what became of the message as a whole: the best that became of it anywhere."""
    gone = tuple(one.id for one, told in replies if told.verdict == "gone")
    first = {told.verdict: told for _, told in reversed(replies)}
    if "accepted" in first:
        return Accepted(f"push-{message.delivery_id}-{message.attempt}", gone=gone)
    if "ambiguous" in first:
        return Ambiguous(first["ambiguous"].reason, blames_provider=False)
    if "busy" in first:
        return Refused(_busy([told for _, told in replies if told.verdict == "busy"]), gone=gone)
    if "refused" in first:
        return Refused(Fault("other", first["refused"].reason), gone=gone)
    return Refused(Fault("no_subscription", "no_subscription"), gone=gone)


def _busy(replies: Sequence[Reply]) -> Fault:
    """Come back when the first of them may take it."""
    soonest = min(replies, key=lambda told: told.retry_after_s or 0)
    return Fault("later", soonest.reason, soonest.retry_after_s)
