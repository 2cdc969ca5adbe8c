"""What this process sees of people: the whole truth where it is the only one.

Concurrency: on the event loop; one timer a socket, which is set anew only when it fires.

Guarantees: whatever changes what is seen of a person is told in the same step; what changes nothing isn't told.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping

from kernel.clock import from_unix
from realtime.attention import Attention
from realtime.connection import Connection
from realtime.hub import Hub
from realtime.presence.port import OnChange, OnDoubt, Sighting, Status, attention_of, now_ms, status_of

REMEMBERED = 50_000
"""People of whom it is known when they were here last."""


class MemoryPresence:
    """Watches the sockets of a hub. See `Presence`."""

    def __init__(self, hub: Hub, away_after_s: float) -> None:
        self._hub = hub
        self._away_after_s = away_after_s
        self._seen: dict[str, Sighting] = {}
        self._last_seen_ms: OrderedDict[str, int] = OrderedDict()
        self._timers: dict[Connection, asyncio.TimerHandle] = {}
        self._changed: list[OnChange] = []
        hub.on_connection(self._came, self._went)

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """See `Presence`."""
        return {user: attention_of(self.sightings(user)) for user in user_ids}

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, Status]:
        """See `Presence`."""
        return {user: self.status(user) for user in user_ids}

    def on_change(self, handler: OnChange) -> None:
        """See `Presence`."""
        self._changed.append(handler)

    def on_doubt(self, handler: OnDoubt) -> None:
        """There are no others."""

    async def start(self) -> None:
        """There are no others."""

    async def stop(self) -> None:
        """There are no others."""

    def status(self, user_id: str) -> Status:
        """Return whether somebody is here."""
        sightings = self.sightings(user_id)
        last_seen_ms = None if sightings else self._last_seen_ms.get(user_id)
        return Status(status_of(sightings), None if last_seen_ms is None else from_unix(last_seen_ms / 1000))

    def sightings(self, user_id: str) -> list[Sighting]:
        """Return what is seen of somebody here: nothing, or one sighting."""
        devices = [device for device in self._hub.connections_of(user_id) if not device.closed]
        active = [device for device in devices if not device.idle]
        shown = frozenset(device.on_screen for device in active if device.on_screen is not None)
        return [Sighting(len(devices), bool(active), shown)] if devices else []

    @property
    def everybody(self) -> Mapping[str, Sighting]:
        """Everybody who is here."""
        return self._seen

    def _came(self, connection: Connection) -> None:
        connection.on_attention = self._attend
        self._wait(connection, self._away_after_s)
        self._look(connection.user_id)

    def _went(self, connection: Connection) -> None:
        self._timers.pop(connection).cancel()
        self._look(connection.user_id)

    def _attend(self, connection: Connection) -> None:
        """A sign of life after a long time, or something else on the screen."""
        self._look(connection.user_id)

    def _wait(self, connection: Connection, seconds: float) -> None:
        self._timers[connection] = asyncio.get_running_loop().call_later(seconds, self._doze, connection)

    def _doze(self, connection: Connection) -> None:
        left = connection.active_at + self._away_after_s - time.monotonic()
        if left <= 0 and not connection.idle:
            connection.idle = True
            self._look(connection.user_id)
        self._wait(connection, left if left > 0 else self._away_after_s)

    def _look(self, user_id: str) -> None:
        sighting = next(iter(self.sightings(user_id)), None)
        if sighting == self._seen.get(user_id):
            return
        if sighting is not None:
            self._seen[user_id] = sighting
        else:
            del self._seen[user_id]
            self._remember(user_id)
        for handler in self._changed:
            handler(user_id)

    def _remember(self, user_id: str) -> None:
        self._last_seen_ms[user_id] = now_ms()
        self._last_seen_ms.move_to_end(user_id)
        while len(self._last_seen_ms) > REMEMBERED:
            self._last_seen_ms.popitem(last=False)
