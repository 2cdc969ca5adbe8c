"""What is sent to a browser: the payload, encrypted for it (RFC 8291), and the headers (RFC 8030, RFC 8292)."""

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from py_vapid import Vapid02
from pywebpush import WebPusher

from modules.notifications.transports import Outgoing, Subscription

MAX_PAYLOAD_BYTES = 3900
"""Push services take 4,096 bytes of message (RFC 8030, 7.2), of which the encryption needs some hundred."""
TOKEN_S = 12 * 3600
TOPIC_CHARS = 32
URGENCY: Mapping[str, str] = {"messages": "high"}
"""RFC 8030 counts chat as `normal` and what is time-sensitive as `high`. An alert is the latter: it is only sent to
somebody who didn't see the message, and telephones that sleep keep `normal` so long that an SMS goes out meanwhile."""
OTHERWISE = "normal"


def payload(message: Outgoing) -> bytes:
    """Return what the page's service worker gets, as JSON of at most `MAX_PAYLOAD_BYTES`: no text of a message.

    Where it would be longer, the words are cut: the title to a half, then the body to what is left.
    """
    words = message.words
    told: dict[str, Any] = {
        "title": words.title,
        "body": words.text,
        "link": words.link,
        "tag": tag(message),
        "channel_id": message.channel_id,
        "invite_id": message.invite_id,
        "category": message.category,
    }
    for name, share in (("title", 2), ("body", 1)):
        told[name] = _cut(told[name], _room(told, name) // share)
    return msgspec.json.encode(told)


def tag(message: Outgoing) -> str:
    """Return what notifications about the same thing share, so that a newer one takes the place of an older."""
    return message.category if message.thread_id is None else f"{message.category}:{message.thread_id}"


def headers(message: Outgoing, authorization: str) -> dict[str, str]:
    """Return the headers. A push that a sleeping browser hasn't got yet is replaced by the next of its thread."""
    topic = base64.urlsafe_b64encode(hashlib.sha256(tag(message).encode()).digest()).decode()[:TOPIC_CHARS]
    return {
        "Authorization": authorization,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(message.validity_s),
        "Topic": topic,
        "Urgency": URGENCY.get(message.category, OTHERWISE),
    }


def encrypted(data: bytes, to: Subscription) -> bytes:
    """Encrypt for one browser.

    Raises:
        ValueError: its keys are none.
    """
    pusher = WebPusher({"endpoint": to.endpoint, "keys": {"p256dh": to.p256dh, "auth": to.auth}})
    body: bytes = pusher.encode(data)["body"]
    return body


def authorization(key: EllipticCurvePrivateKey, subject: str, origin: str) -> str:
    """Return a token that says who sends, for the push service at `origin` and for twelve hours."""
    claims = {"aud": origin, "sub": subject, "exp": int(time.time()) + TOKEN_S}
    vapid = Vapid02(key, conf={"no-strict": True})  # the settings have looked at the subject, and allow more
    told: str = vapid.sign(claims)["Authorization"]
    return told


def _room(told: Mapping[str, Any], name: str) -> int:
    """Bytes that this field may take, if all others stay as they are."""
    return MAX_PAYLOAD_BYTES - len(msgspec.json.encode({**told, name: ""}))


def _cut(text: str, room: int) -> str:
    if _bytes(text) <= room:
        return text
    kept = text
    while kept and _bytes(f"{kept}…") > room:
        kept = kept[: -max(1, len(kept) // 16)]
    return f"{kept}…" if kept else ""


def _bytes(text: str) -> int:
    return len(msgspec.json.encode(text)) - len('""')
