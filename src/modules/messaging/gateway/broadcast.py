"""From the log to the sockets: every record to every participant, in the order of the log, on every instance."""

import struct
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from uuid import UUID

from modules.messaging import views
from modules.messaging.fold import Folded, fresh
from modules.messaging.gateway.feeds import Deliver, Feeds
from modules.messaging.gateway.server_frames import frame_of
from modules.messaging.log.record import Record
from modules.messaging.schemas.messages import Message
from modules.messaging.service.reading import Reading
from realtime.connection import Connection
from realtime.frame import Frame
from realtime.hub import Hub

PREFIX = "channel:"
RECORD = b"R"
"""Between instances: a seq and the frame of its record."""
HEAD = b"H"
"""Between instances: there is a record with this seq; what it does to subscriptions is read from the log."""
SEQ = struct.Struct("!Q")


@lru_cache(maxsize=50_000)
def channel_topic(channel_id: UUID) -> str:
    """Return the topic of a channel's durable frames."""
    return f"{PREFIX}{channel_id}"


def channel_of(topic: str) -> UUID | None:
    """Return the channel whose topic this is."""
    return UUID(topic.removeprefix(PREFIX)) if topic.startswith(PREFIX) else None


class Broadcast:
    """Announces what was committed: never awaits, and never fails whoever committed it."""

    def __init__(self, hub: Hub, reading: Reading) -> None:
        self._hub = hub
        self._reading = reading
        self.feeds = Feeds(self._read)
        self._heard: list[Callable[[Record], None]] = []
        self._late: list[Callable[[UUID], None]] = []
        hub.on(RECORD, self._relayed)
        hub.on(HEAD, self._hinted)
        hub.on_listened(self._listened)
        hub.on_idle(self._idle)

    def on_record(self, handler: Callable[[Record], None]) -> None:
        """Call `handler` with each record that is announced here."""
        self._heard.append(handler)

    def on_late(self, handler: Callable[[UUID], None]) -> None:
        """Call `handler` with each channel that gets its first listener here while its people know it already.

        What other instances relay until the backplane has taken the subscription is lost. Who connects waits for that.
        """
        self._late.append(handler)

    def opened(self, channel_id: UUID, user_ids: Iterable[str]) -> None:
        """Let the participants of a new channel hear it."""
        for user_id in user_ids:
            self._join(channel_id, user_id, 0)

    def announce(self, record: Record, folded: Folded | None = None, origin: object | None = None) -> None:
        """Send a record's frame to everybody in its channel but the socket it came by."""
        message = views.message(folded or fresh(record)) if record.kind in {"text", "revision"} else None
        frame = frame_of(record, message)
        topic, seq = channel_topic(record.channel_id), SEQ.pack(record.seq)
        if _moves_people(record):
            self._hub.relay(topic, HEAD, seq)
            self._join_by(record)
        else:
            self._hub.relay(topic, RECORD, seq, frame.payload)
        self.feeds.offer(record.channel_id, record.seq, partial(self._deliver, topic, record, frame, origin))
        for handler in self._heard:
            handler(record)

    def join(self, connection: Connection, channel_id: UUID, position: int) -> bool:
        """Let a connection hear a channel whose log it knows up to `position`; as `Feeds.start`."""
        self._hub.subscribe(connection, channel_topic(channel_id))
        return self.feeds.start(channel_id, position)

    def release(self, connection: Connection, channel_id: UUID, known: int) -> None:
        """Let the held frames of a channel through to a connection that knows it up to `known`, once they come next."""
        self.feeds.after(channel_id, known, partial(connection.release, channel_topic(channel_id), known))

    def expel(self, connection: Connection, channel_id: UUID) -> None:
        """Let a connection hear nothing more of a channel, nor what was held for it."""
        topic = channel_topic(channel_id)
        self._hub.unsubscribe(connection, topic)
        connection.forget(topic)

    def _deliver(self, topic: str, record: Record, frame: Frame, origin: object | None) -> None:
        """Who joins hears that first, who leaves hears that as the last, and who does both is where the log says."""
        self._join_by(record)
        self._hub.publish(topic, record.seq, frame, exclude=origin)
        if record.kind == "participant_left":
            for connection in self._hub.connections_of((record.details or {})["user_id"]):
                self._hub.unsubscribe(connection, topic)

    def _join_by(self, record: Record) -> None:
        """Who joins hears it from the record of their joining on."""
        if record.kind == "participant_joined":
            self._join(record.channel_id, (record.details or {})["user_id"], record.seq - 1)

    def _join(self, channel_id: UUID, user_id: str, position: int) -> None:
        connections = self._hub.connections_of(user_id)
        if connections and not self._hub.listeners(channel_topic(channel_id)):
            for handler in self._late:
                handler(channel_id)
        for connection in connections:
            self.join(connection, channel_id, position)

    async def _read(self, channel_id: UUID, after: int, limit: int) -> list[tuple[int, Deliver]]:
        page = await self._reading.records(channel_id, after=after, limit=limit)
        return [(record.seq, partial(self._replay, record, message)) for record, message in page]

    def _replay(self, record: Record, message: Message | None) -> None:
        self._deliver(channel_topic(record.channel_id), record, frame_of(record, message), None)

    def _relayed(self, topic: str, payload: bytes) -> None:
        channel_id = channel_of(topic)
        if channel_id is not None:
            (seq,) = SEQ.unpack_from(payload)
            frame = Frame(payload[SEQ.size :])
            self.feeds.offer(channel_id, seq, partial(self._hub.publish, topic, seq, frame))

    def _hinted(self, topic: str, payload: bytes) -> None:
        channel_id = channel_of(topic)
        if channel_id is not None:
            self.feeds.reach(channel_id, *SEQ.unpack(payload))

    def _listened(self, topic: str) -> None:
        channel_id = channel_of(topic)
        if channel_id is not None:
            self.feeds.open(channel_id)

    def _idle(self, topic: str) -> None:
        channel_id = channel_of(topic)
        if channel_id is not None:
            self.feeds.stop(channel_id)


def _moves_people(record: Record) -> bool:
    return record.kind.startswith("participant_")
