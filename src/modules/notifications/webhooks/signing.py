"""Signatures after the Standard Webhooks specification (symmetric, `v1`): pure functions.

What is signed is `{webhook-id}.{webhook-timestamp}.{body}`, by HMAC-SHA256 with the bytes of a secret. Several
signatures, one for each living secret, are separated by spaces; a receiver accepts any.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

PREFIX = "whsec_"
SECRET_BYTES = 32
"""The specification asks for 24 to 64."""
USER_AGENT = "Parley-Webhooks/1"


def new_secret() -> str:
    """Make up a secret: 256 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def message_id(event_id: UUID, webhook_id: UUID) -> str:
    """Return the `webhook-id` of an event for a webhook: the same at every attempt. It holds no full stop."""
    return f"{event_id}_{webhook_id}"


def headers(identifier: str, sent_at: datetime, body: bytes, living: Iterable[str]) -> Mapping[str, str]:
    """Return the headers of a request that is sent now, signed by all living secrets."""
    timestamp = str(int(sent_at.timestamp()))
    signed = f"{identifier}.{timestamp}.".encode() + body
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in living),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
