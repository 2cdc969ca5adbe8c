"""Where a page of a list begins: the sort key of what stands before it, opaque to clients."""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from kernel.errors import malformed_field

T = TypeVar("T")


def encode_cursor(key: Any) -> str:
    """Return the cursor of a sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[T]) -> T:
    """Return the sort key of a cursor.

    Raises:
        MalformedError: it isn't one that was given out.
    """
    try:
        encoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(encoded, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise malformed_field("?cursor", "isn't one that was given out") from None
