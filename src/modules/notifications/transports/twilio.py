"""SMS through Twilio's package.

Twilio knows no idempotency key, so a request whose answer got lost must not be repeated: one POST a call, never the
package's retries. What proves that nothing was sent is a refusal by Twilio (4xx) or that no connection came about;
anything else is ambiguous, and the callback, which carries our delivery and attempt, tells the truth later.
"""

import asyncio
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlencode

import aiohttp
import structlog
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.metrics import SMS_SEGMENTS
from modules.notifications.transports import TIMEOUT_S, Outgoing
from modules.notifications.transports.twilio_codes import fault
from modules.notifications.wording.sms import length, sms

log = structlog.get_logger(__name__)

STATUS_PATH = "/webhooks/twilio/status"
CLIENT_ERRORS = range(400, 500)
HEADERS: ContextVar[Mapping[str, str]] = ContextVar("headers")
"""Of the answer to the call in hand."""


class TwilioSms:
    """Sends SMS. Exactly one of `sender` and `messaging_service` is used; the latter goes first."""

    name = "sms"

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        public_url: str,
        sender: str | None = None,
        messaging_service: str | None = None,
        api_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._credentials = (account_sid, auth_token)
        self._from = {"messaging_service_sid": messaging_service} if messaging_service else {"from_": sender}
        self._callback = public_url.rstrip("/") + STATUS_PATH
        self._api_url = api_url
        self._timeout_s = timeout_s
        self._client: Any = None

    async def send(self, message: Outgoing) -> Outcome:
        """Make the one request."""
        HEADERS.set({})
        try:
            async with asyncio.timeout(self._timeout_s):
                created = await self._connected().messages.create_async(
                    to=message.to.phone,
                    body=sms(message.words),
                    status_callback=f"{self._callback}?{callback_query(message)}",
                    validity_period=message.validity_s,
                    **self._from,
                )
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the outcome must be told
            return _outcome_of(error)
        if not created.sid:
            return Ambiguous("answer_without_sid")
        SMS_SEGMENTS.inc(length(sms(message.words)).segments)
        return Accepted(created.sid)

    async def close(self) -> None:
        """Close the connections to Twilio."""
        client, self._client = self._client, None
        if client is not None:
            await client.http_client.close()

    def _connected(self) -> Any:
        # The HTTP client wants a running loop, so it is made by the first call.
        if self._client is None:
            self._client = Client(
                *self._credentials, http_client=AsyncTwilioHttpClient(trace_configs=[_headers_kept()])
            )
            if self._api_url:
                self._client.api.base_url = self._api_url.rstrip("/")
        return self._client


def callback_query(message: Outgoing) -> str:
    """Return what makes the signed callback ours, also if we die before we learn Twilio's id."""
    return urlencode({"delivery": str(message.delivery_id), "attempt": message.attempt})


def _headers_kept() -> aiohttp.TraceConfig:
    """Return what keeps the headers of each answer: the package's errors don't hold them."""

    async def keep(_session: Any, _context: Any, ended: aiohttp.TraceRequestEndParams) -> None:
        HEADERS.set(ended.response.headers)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(keep)
    return trace


def _outcome_of(error: Exception) -> Outcome:
    if isinstance(error, aiohttp.ClientConnectorError):
        return Refused(Fault("busy", "no_connection"))
    if isinstance(error, TimeoutError):
        return Ambiguous("timeout")
    status = getattr(error, "status", None)
    if isinstance(error, TwilioException) and isinstance(status, int):
        if status in CLIENT_ERRORS:
            return Refused(fault(int(getattr(error, "code", None) or status), retry_after_s=_retry_after_s()))
        return Ambiguous(f"http_{status}")
    log.warning("sms_outcome_unknown", error=type(error).__name__)
    return Ambiguous("connection_lost" if isinstance(error, aiohttp.ClientError) else "unexpected_answer")


def _retry_after_s() -> float | None:
    """Return the seconds that the provider asks for; a date, which it may also be, isn't worth a parser."""
    text = HEADERS.get({}).get("Retry-After", "")
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else None
