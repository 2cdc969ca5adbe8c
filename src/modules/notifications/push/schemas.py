"""What goes in and out over HTTP about push."""

import base64
from typing import Annotated
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from msgspec import Meta

from kernel.clock import Timestamp, from_unix, rfc3339, rfc3339_or_none
from kernel.egress.policy import MAX_URL_CHARS
from kernel.errors import malformed_field
from kernel.incoming import Incoming
from kernel.text import pattern
from modules.notifications.push.store import Browser, Kept

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""

Endpoint = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_URL_CHARS,
        pattern=pattern(r"\A[!-~]+\Z", "must be an https:// address in ASCII"),
        description="Where the browser's push service takes messages for it; whoever knows it can send there",
        examples=["https://updates.push.services.mozilla.com/wpush/v2/gAAAAABn0x7e5cQm"],
    ),
]
P256dh = Annotated[
    str,
    Meta(
        max_length=88,
        pattern=pattern(r"\A[A-Za-z0-9_-]{87}=?\Z", "must be 65 bytes in base64url"),
        description="The browser's public key: an uncompressed point on P-256",
        examples=["BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"],
    ),
]
Auth = Annotated[
    str,
    Meta(
        max_length=24,
        pattern=pattern(r"\A[A-Za-z0-9_-]{22}(==)?\Z", "must be 16 bytes in base64url"),
        description="A secret that only the browser and Parley know",
        examples=["BTBZMqHH6r4Tts7J_aSIgg"],
    ),
]
Milliseconds = Annotated[
    int, Meta(ge=0, le=LATEST_MS, description="Since 1970, as JavaScript counts", examples=[1_893_456_000_000])
]
PublicKey = Annotated[
    str,
    Meta(
        description="For `applicationServerKey`: base64url of an uncompressed point on P-256",
        examples=["BDd3_hVL9fZi9Ybo2UUzA284WG5FZR30_95YeZJsiApwXKpNcF1rRPF3foIiBHXRdJI2Qhumhf6_LFTeZaNndIo"],
    ),
]


class VapidKey(msgspec.Struct, frozen=True):
    """The key that browsers subscribe to."""

    public_key: PublicKey


class SubscriptionKeys(Incoming, frozen=True):
    """What messages to this browser are encrypted with."""

    p256dh: P256dh
    auth: Auth


class PushSubscriptionIn(Incoming, frozen=True, kw_only=True):
    """A browser's `PushSubscription`, exactly as its `toJSON()` makes it."""

    endpoint: Endpoint
    keys: SubscriptionKeys
    expiration_time: Milliseconds | None = msgspec.field(name="expirationTime", default=None)

    def browser(self) -> Browser:
        """Return what is to be kept.

        Raises:
            MalformedError: the public key isn't a point on the curve.
        """
        p256dh, auth = self.keys.p256dh.rstrip("="), self.keys.auth.rstrip("=")
        try:
            EllipticCurvePublicKey.from_encoded_point(SECP256R1(), base64.urlsafe_b64decode(p256dh + "="))
        except ValueError:
            raise malformed_field("/keys/p256dh", "must be an uncompressed point on the curve P-256") from None
        ends = None if self.expiration_time is None else from_unix(self.expiration_time / 1000)
        return Browser(endpoint=self.endpoint, p256dh=p256dh, auth=auth, expires_at=ends)


class PushSubscriptionOut(msgspec.Struct, frozen=True, kw_only=True):
    """A browser in which you are told. Its keys are never shown again."""

    id: UUID
    endpoint: Endpoint
    expires_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp


class PushSubscriptionPage(msgspec.Struct, frozen=True):
    """All of them, the one that was registered last first. There are never more than fit a page."""

    items: list[PushSubscriptionOut]
    next: str | None


def subscription_out(kept: Kept) -> PushSubscriptionOut:
    """Render a subscription."""
    return PushSubscriptionOut(
        id=kept.id,
        endpoint=kept.endpoint,
        expires_at=rfc3339_or_none(kept.expires_at),
        created_at=rfc3339(kept.created_at),
        updated_at=rfc3339(kept.updated_at),
    )
