"""The post: what is told to people is told to each of their personal sockets, on every instance.

Overview: one message between instances for all who are told the same, on the topic that every instance with a
personal socket hears.

Concurrency: single-threaded, on the event loop; nothing here awaits.

Guarantees: in the order of telling, from each instance; a socket that can't take it is closed with 4008 instead of
being left in a wrong belief. It is told once: what other instances couldn't hear is lost, and read over HTTP.
"""

from collections.abc import Collection

import msgspec

from realtime.company import Visitors
from realtime.connection import ALWAYS
from realtime.frame import Frame
from realtime.frames import ServerFrame, frame
from realtime.hub import Hub

TOPIC = "personal"
"""Heard by every instance that has a personal socket."""
TOLD = b"N"
"""Between instances: a frame, and whom it is for."""

encode = msgspec.msgpack.Encoder().encode


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """A frame, and whom it is for."""

    user_ids: list[str]
    payload: bytes


decode = msgspec.msgpack.Decoder(Parcel).decode


class Post:
    """Tells people."""

    def __init__(self, hub: Hub, visitors: Visitors) -> None:
        self._hub = hub
        self._visitors = visitors
        hub.on(TOLD, self._heard)

    def tell(self, user_ids: Collection[str], content: ServerFrame) -> None:
        """Send a frame to these people."""
        parcel = Parcel(list(user_ids), frame(content).payload)
        self._tell_here(parcel)
        self._hub.relay(TOPIC, TOLD, encode(parcel))

    def _heard(self, _topic: str, payload: bytes) -> None:
        self._tell_here(decode(payload))

    def _tell_here(self, parcel: Parcel) -> None:
        told = Frame(parcel.payload)
        for user_id in parcel.user_ids:
            for connection in self._visitors.connections_of(user_id):
                connection.deliver(TOPIC, ALWAYS, told)
