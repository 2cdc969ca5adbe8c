"""What one PUBLISH carries: who sent it, then any number of payloads, each after its length."""

from collections.abc import Iterable, Iterator
from struct import Struct

INSTANCE_BYTES = 8
LENGTH = Struct("!I")


def join(instance: bytes, payloads: Iterable[bytes]) -> bytes:
    """Make one message of several payloads of an instance, whose id has `INSTANCE_BYTES`."""
    parts = [instance]
    for payload in payloads:
        parts += (LENGTH.pack(len(payload)), payload)
    return b"".join(parts)


def sender(message: bytes) -> bytes:
    """Return the id of the instance that made a message."""
    return message[:INSTANCE_BYTES]


def split(message: bytes) -> Iterator[bytes]:
    """Yield the payloads of a message.

    Raises:
        ValueError: nobody made this with `join`.
    """
    start = INSTANCE_BYTES
    while start != len(message):
        payload = start + LENGTH.size
        if payload > len(message):
            raise ValueError("A length is cut off")
        start = payload + LENGTH.unpack_from(message, start)[0]
        if start > len(message):
            raise ValueError("A payload is cut off")
        yield message[payload:start]
