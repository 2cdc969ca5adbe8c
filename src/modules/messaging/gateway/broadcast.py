"""From the log to the sockets of this process: every record to every participant, in the order of the log."""

from collections.abc import Iterable
from uuid import UUID

from modules.messaging import views
from modules.messaging.gateway.server_frames import changed, created
from modules.messaging.log.record import Record
from realtime.frame import Frame
from realtime.hub import Hub


def channel_topic(channel_id: UUID) -> str:
    """Return the topic of a channel's durable frames."""
    return f"channel:{channel_id}"


def is_channel(topic: str) -> bool:
    """Whether a topic is a channel's."""
    return topic.startswith("channel:")


class Broadcast:
    """Called right after each commit, in the order of seqs; never awaits."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def opened(self, channel_id: UUID, user_ids: Iterable[str]) -> None:
        """Let the participants of a new channel hear it."""
        for user_id in user_ids:
            self._join(channel_id, user_id)

    def announce(self, record: Record, origin: object | None = None) -> None:
        """Send a record's frame to everybody in its channel but the socket it came by."""
        topic = channel_topic(record.channel_id)
        if record.kind == "text":
            self._hub.publish(topic, record.seq, created(views.message(record, {})), exclude=origin)
        else:
            self._membership(topic, record, changed(record))

    def _membership(self, topic: str, record: Record, frame: Frame) -> None:
        """Who joins hears it from the record of their joining on; who leaves hears that as the last."""
        details = record.details or {}
        if record.kind == "participant_joined":
            self._join(record.channel_id, details["user_id"])
        self._hub.publish(topic, record.seq, frame)
        if record.kind == "participant_left":
            for connection in self._hub.connections_of(details["user_id"]):
                self._hub.unsubscribe(connection, topic)

    def _join(self, channel_id: UUID, user_id: str) -> None:
        for connection in self._hub.connections_of(user_id):
            self._hub.subscribe(connection, channel_topic(channel_id))
