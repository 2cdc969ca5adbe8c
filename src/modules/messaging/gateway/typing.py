"""`typing`: who is writing in a channel, told to those who hear it, on every instance.

Overview: the instance of a socket that writes tells the others that it does, or has stopped; each keeps the list of
its channels and tells its own listeners the whole of it.

Concurrency: on the event loop. Only who may write is read from the database, and remembered for `REMEMBERED_S`.

Guarantees:
- Only people who hear a channel and may write there are listed; for everybody else a frame does nothing, whether
  there is such a channel or not.
- Who is listed leaves the list when they stop, send a message, lose their socket, or say nothing for five seconds;
  should their instance die, three seconds later.
- Nobody is told of themselves: everyone hears the list of the others.
- A listener gets at most one frame of a channel in `GATHER_S`, with at most `MAX_LISTED` names.
"""

import asyncio
import time
from collections import OrderedDict
from typing import TypeAlias
from uuid import UUID

from kernel.database import Database
from kernel.errors import UnavailableError
from modules.messaging.gateway import server_frames as server
from modules.messaging.gateway.broadcast import channel_of, channel_topic
from modules.messaging.gateway.keystrokes import FORGOTTEN_S, REPEAT_S, Keystrokes
from modules.messaging.log.record import Record
from modules.messaging.store import members
from modules.messaging.writer.judge import refusal
from realtime.connection import Connection
from realtime.frame import Frame
from realtime.hub import Hub

KIND = b"T"
"""Between instances: somebody writes, or has stopped."""
WRITES, STOPPED, SENT = b"+", b"-", b"!"
GATHER_S = 0.25
MAX_LISTED = 100
REMEMBERED_S = 10.0
REMEMBERED = 10_000
ID_BYTES = 16

Device: TypeAlias = bytes
"""The id of a socket, as it goes between instances."""


class Listed:
    """Who is writing in one channel: by socket, in the order in which they began."""

    __slots__ = ("about", "devices", "timer")

    def __init__(self) -> None:
        self.devices: dict[Device, tuple[str, asyncio.TimerHandle]] = {}
        self.about: set[str] = set()
        self.timer: asyncio.TimerHandle | None = None

    @property
    def user_ids(self) -> list[str]:
        """Each person once."""
        return list(dict.fromkeys(user_id for user_id, _ in self.devices.values()))


class Typing:
    """The lists of this instance's channels."""

    def __init__(self, hub: Hub, database: Database) -> None:
        self._hub = hub
        self._database = database
        self._keystrokes = Keystrokes(self._changed_here, _hears)
        self._lists: dict[UUID, Listed] = {}
        self._may_write: OrderedDict[tuple[UUID, str], tuple[float, bool]] = OrderedDict()
        hub.on(KIND, self._changed_elsewhere)

    async def heard(self, connection: Connection, channel_id: UUID, *, is_typing: bool) -> None:
        """Note what a socket says of its person's writing."""
        if not is_typing:
            self._keystrokes.lifted(connection, channel_id)
        elif _hears(connection, channel_id) and await self._may(connection.user_id, channel_id):
            self._keystrokes.struck(connection, channel_id)

    def sent(self, record: Record) -> None:
        """Note that somebody has sent what they wrote, if this record is that."""
        sender = record.sender_id if record.kind == "text" else None
        if sender is not None and self._lifted_by(record.channel_id, sender):
            self._hub.relay(channel_topic(record.channel_id), KIND, SENT + bytes(ID_BYTES) + sender.encode())

    def gone(self, connection: Connection) -> None:
        """Forget a socket."""
        self._keystrokes.gone(connection)

    def membership_changed(self, channel_id: str) -> None:
        """Find out anew who may write in a channel."""
        gone = UUID(channel_id)
        for key in [key for key in self._may_write if key[0] == gone]:
            del self._may_write[key]

    async def _may(self, user_id: str, channel_id: UUID) -> bool:
        key = channel_id, user_id
        known = self._may_write.get(key)
        if known is None or known[0] < time.monotonic():
            known = time.monotonic() + REMEMBERED_S, await self._ask(user_id, channel_id)
            self._may_write[key] = known
            if len(self._may_write) > REMEMBERED:
                self._may_write.popitem(last=False)
        return known[1]

    async def _ask(self, user_id: str, channel_id: UUID) -> bool:
        try:
            async with self._database.connection() as connection:
                standing = await members.standing(connection, channel_id, user_id)
        except UnavailableError:
            return False  # a message couldn't be sent either
        return standing is not None and refusal(*standing) is None

    def _changed_here(self, connection: Connection, channel_id: UUID, writing: bool) -> None:  # noqa: FBT001 - a `Tell`
        device = connection.id.bytes
        what = WRITES if writing else STOPPED
        self._hub.relay(channel_topic(channel_id), KIND, what + device + connection.user_id.encode())
        self._change(channel_id, what, device, connection.user_id)

    def _changed_elsewhere(self, topic: str, payload: bytes) -> None:
        channel_id = channel_of(topic)
        if channel_id is not None:
            self._change(channel_id, payload[:1], payload[1 : 1 + ID_BYTES], payload[1 + ID_BYTES :].decode())

    def _change(self, channel_id: UUID, what: bytes, device: Device, user_id: str) -> None:
        if what == WRITES:
            self._list(channel_id, device, user_id)
        elif what == STOPPED:
            self._strike_off(channel_id, device)
        elif what == SENT:
            self._lifted_by(channel_id, user_id)

    def _list(self, channel_id: UUID, device: Device, user_id: str) -> None:
        listed = self._lists.setdefault(channel_id, Listed())
        before = listed.devices.get(device)
        if before is not None:
            before[1].cancel()
        elif len(listed.devices) >= MAX_LISTED:
            return
        forget = asyncio.get_running_loop().call_later(FORGOTTEN_S + REPEAT_S, self._strike_off, channel_id, device)
        listed.devices[device] = user_id, forget
        self._tell_soon(channel_id, listed, user_id)

    def _strike_off(self, channel_id: UUID, device: Device) -> None:
        listed = self._lists.get(channel_id)
        gone = listed.devices.pop(device, None) if listed is not None else None
        if listed is not None and gone is not None:
            gone[1].cancel()
            self._tell_soon(channel_id, listed, gone[0])

    def _lifted_by(self, channel_id: UUID, user_id: str) -> bool:
        """Strike off all of somebody's sockets; whether there were any."""
        self._keystrokes.lifted_by(channel_id, user_id)
        listed = self._lists.get(channel_id)
        devices = [device for device, (who, _) in listed.devices.items() if who == user_id] if listed else []
        for device in devices:
            self._strike_off(channel_id, device)
        return bool(devices)

    def _tell_soon(self, channel_id: UUID, listed: Listed, user_id: str) -> None:
        listed.about.add(user_id)
        if listed.timer is None:
            listed.timer = asyncio.get_running_loop().call_later(GATHER_S, self._tell, channel_id, listed)

    def _tell(self, channel_id: UUID, listed: Listed) -> None:
        """Send the list to everyone for whom it may be another: not to who is the only one that it changed by."""
        listed.timer, about, listed.about = None, listed.about, set()
        if not listed.devices:
            self._lists.pop(channel_id, None)
        user_ids = listed.user_ids
        whole = _frame(channel_id, user_ids)
        for connection in self._hub.listeners(channel_topic(channel_id)):
            if about != {connection.user_id}:
                others = [user_id for user_id in user_ids if user_id != connection.user_id]
                connection.send_ephemeral(whole if len(others) == len(user_ids) else _frame(channel_id, others))


def _frame(channel_id: UUID, user_ids: list[str]) -> Frame:
    return server.frame(server.Typing(channel_id=channel_id, user_ids=user_ids))


def _hears(connection: Connection, channel_id: UUID) -> bool:
    return channel_topic(channel_id) in connection.topics
