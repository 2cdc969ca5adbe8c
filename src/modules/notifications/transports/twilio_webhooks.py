"""Twilio's webhooks, checked and translated into our words."""

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qs
from uuid import UUID
from xml.sax.saxutils import escape

import msgspec
from twilio.request_validator import RequestValidator

from kernel.ids import parse_id
from modules.notifications.domain.outcomes import Report
from modules.notifications.errors import BadSignatureError
from modules.notifications.transports.twilio_codes import fault

SID = re.compile(r"\A[A-Z]{2}[0-9a-fA-F]{32}\Z")
PHONE = re.compile(r"\A\+[1-9][0-9]{1,14}\Z")

STATES: Mapping[str, Literal["accepted", "delivered", "undelivered", "failed"]] = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "accepted",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
}


class Answer(msgspec.Struct, frozen=True):
    """An SMS that somebody sent us. `handled`: what Twilio took it for and answered itself, if it did."""

    provider_id: str
    phone: str
    body: str
    handled: str


class TwilioWebhooks:
    """Checks signatures against the configured public URL: behind a proxy the request's own is another."""

    def __init__(self, *, auth_token: str | None, public_url: str, account_sid: str | None = None) -> None:
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._account_sid = account_sid
        self._public_url = public_url.rstrip("/")

    def form(self, path_and_query: str, body: bytes, signature: str | None) -> dict[str, str]:
        """Return the fields of a signed form.

        Raises:
            BadSignatureError: no signature, or not Twilio's for this URL and these fields, or it speaks of another
                account: the token of an account may sign for others that belong to it.
        """
        fields = _Fields(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True))
        url = self._public_url + path_and_query
        if self._validator is None or not self._validator.validate(url, fields, signature or ""):
            raise BadSignatureError("The signature doesn't fit")
        if any(account != self._account_sid for account in fields.get("AccountSid", ())):
            raise BadSignatureError("It is about another account")
        return {name: values[0] for name, values in fields.items()}


class _Fields(dict[str, list[str]]):
    """Repeated fields, as the validator reads them."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def report(query: Mapping[str, list[str]], form: Mapping[str, str]) -> Report | None:
    """Translate a status callback; None for one that isn't about a delivery of ours, or says nothing we know."""
    delivery_id: UUID | None = parse_id(query.get("delivery", [""])[0])
    attempt = query.get("attempt", [""])[0]
    state = STATES.get(form.get("MessageStatus", ""))
    sid = form.get("MessageSid", "")
    if delivery_id is None or state is None or not re.fullmatch(r"[1-9][0-9]{0,8}", attempt) or not SID.match(sid):
        return None
    code = form.get("ErrorCode", "")
    return Report(
        delivery_id=delivery_id,
        attempt=int(attempt),
        provider_id=sid,
        state=state,
        fault=fault(int(code)) if re.fullmatch(r"[1-9][0-9]{0,5}", code) else None,
        address=_phone(form.get("To", "")),
    )


def answer(form: Mapping[str, str]) -> Answer | None:
    """Translate an incoming SMS; None for what can't be one."""
    sid, phone = form.get("MessageSid", ""), _phone(form.get("From", ""))
    if phone is None or not SID.match(sid):
        return None
    return Answer(sid, phone, form.get("Body", ""), form.get("OptOutType", ""))


def twiml(reply: str | None) -> str:
    """Write the answer to an incoming SMS: one message, or none."""
    message = f"<Message>{escape(reply)}</Message>" if reply else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'


def _phone(text: str) -> str | None:
    return text if PHONE.match(text) else None
