"""Tokens that say who ends e-mail to which address, signed. They are for one thing only, and don't expire.

A token names the person and holds a keyed digest of the address, so it tells nobody the address, and is worthless
once the person has another one. The law wants links to work for a month or two after a mail; as ours can do nothing
but end e-mail, they work for as long as the secret is kept.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

VERSION = b"\x01"
PURPOSE = b"parley unsubscribe email"
SIGNATURE_BYTES = 16
ADDRESS_BYTES = 8
HEAD_BYTES = len(VERSION) + SIGNATURE_BYTES + ADDRESS_BYTES
LONGEST = 200


class Wish(msgspec.Struct, frozen=True):
    """Who wants no more e-mail, and the digest of where it went."""

    user_id: str
    address: bytes


def token(secret: bytes, user_id: str, address: str) -> str:
    """Return the token for a mail to this person at this address: the same one each time."""
    digest = address_digest(secret, address)
    signed = VERSION + _signature(secret, digest, user_id.encode()) + digest + user_id.encode()
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def read(secret: bytes, given: str) -> Wish | None:
    """Return what a token says; None for anything that we didn't sign, to the letter."""
    try:
        signed = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    digest, user_id = signed[HEAD_BYTES - ADDRESS_BYTES : HEAD_BYTES], signed[HEAD_BYTES:]
    expected = VERSION + _signature(secret, digest, user_id)
    if len(signed) <= HEAD_BYTES or not hmac.compare_digest(signed[: len(expected)], expected):
        return None
    return Wish(user_id.decode(), digest)


def address_digest(secret: bytes, address: str) -> bytes:
    """Return what stands for an address, in whatever case it is written."""
    return _mac(secret, b"address", address.lower().encode())[:ADDRESS_BYTES]


def _signature(secret: bytes, digest: bytes, user_id: bytes) -> bytes:
    return _mac(secret, PURPOSE, digest + user_id)[:SIGNATURE_BYTES]


def _mac(secret: bytes, purpose: bytes, text: bytes) -> bytes:
    return hmac.digest(secret, purpose + b"\0" + text, hashlib.sha256)
