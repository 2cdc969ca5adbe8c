"""Telling those who watch somebody whether that person is there.

Overview: a socket that watches a person listens to the topic `presence:{user_id}`. The instance whose devices changed
tells the others on that topic, without content; each asks `Presence` for itself and tells its own watchers. Who may
watch whom is for those to know who let them listen.

Concurrency: on the event loop; changes are gathered, and asked about by one task.

Guarantees:
- A watcher is told a status when it begins to watch and when it has changed, not otherwise.
- `offline` is told after `GRACE_S`, so that somebody who reconnects doesn't blink. Everything else is told at once.
- With Redis away for longer than that, watchers are told what their own instance sees.
- What other instances couldn't be told, because the way to them was gone, they are told once it is back.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable

from kernel.rechecks import Rechecks
from realtime.connection import Connection
from realtime.frames import presence_frame
from realtime.hub import Hub
from realtime.presence.port import Presence, Status

PREFIX = "presence:"
CHANGED = b"P"
"""Between instances: somebody's devices have changed."""
GRACE_S = 5.0
NOTICED_WITHIN_S = 3.0
"""What was told so long before the way to others is found to be gone may not have got through."""
CHUNK = 1_000


def presence_topic(user_id: str) -> str:
    """Return the topic of a person's presence."""
    return PREFIX + user_id


def watched_person(topic: str) -> str | None:
    """Return the person whose presence this topic is about."""
    return topic.removeprefix(PREFIX) if topic.startswith(PREFIX) else None


def watched_by(connection: Connection) -> set[str]:
    """Return everybody whom a socket watches."""
    return {person for topic in connection.topics if (person := watched_person(topic)) is not None}


class Watchers:
    """Knows what watchers were told; `start` it once, and `stop` it."""

    def __init__(self, hub: Hub, presence: Presence) -> None:
        self._hub = hub
        self._presence = presence
        self._told: dict[str, Status] = {}
        self._leaving: dict[str, asyncio.TimerHandle | None] = {}
        self._changes: OrderedDict[str, float] = OrderedDict()
        """Who changed here, and when, as long as others may not have heard of it."""
        self._people: Rechecks[str] = Rechecks("presence", self._look)
        presence.on_change(self._person_changed)
        presence.on_doubt(self._people.everything)
        hub.on_doubt(self._in_doubt)
        hub.on(CHANGED, lambda topic, _: self._recheck(topic.removeprefix(PREFIX)))
        hub.on_idle(self._unwatched)

    async def start(self) -> None:
        """Begin."""
        self._people.start()

    async def stop(self) -> None:
        """End."""
        await self._people.stop()
        for timer in self._leaving.values():
            if timer is not None:
                timer.cancel()

    def listen_to(self, connection: Connection, user_ids: Iterable[str]) -> None:
        """Let a socket watch these people, and them only; `tell` it of them next."""
        wanted = {presence_topic(user_id) for user_id in user_ids}
        present = {topic for topic in connection.topics if watched_person(topic) is not None}
        for topic in present - wanted:
            self._hub.unsubscribe(connection, topic)
        if connection.closed:
            return
        for topic in wanted - present:
            self._hub.subscribe(connection, topic)

    async def tell(self, connection: Connection, user_ids: Iterable[str]) -> None:
        """Tell a socket the present status of these people, as far as it watches them."""
        await self._hub.backplane.settled()
        watched = [user_id for user_id in dict.fromkeys(user_ids) if _watches(connection, user_id)]
        for user_id, status in (await self._presence.statuses(watched)).items():
            if _watches(connection, user_id):
                self._take(user_id, status)
                connection.send_ephemeral(presence_frame(user_id, self._told[user_id]))

    def _person_changed(self, user_id: str) -> None:
        """Tell everybody that somebody's devices here have changed."""
        self._remember(user_id)
        self._hub.relay(presence_topic(user_id), CHANGED, b"")
        self._recheck(user_id)

    def _remember(self, user_id: str) -> None:
        now = time.monotonic()
        self._changes[user_id] = now
        self._changes.move_to_end(user_id)
        if self._hub.backplane.connected:
            while next(iter(self._changes.values())) < now - NOTICED_WITHIN_S:
                self._changes.popitem(last=False)

    def _in_doubt(self) -> None:
        """Ask about everybody, and tell again what others may not have heard: the way to them was gone, or is back."""
        self._people.everything()
        for user_id in self._changes:
            self._hub.relay(presence_topic(user_id), CHANGED, b"")

    def _recheck(self, user_id: str) -> None:
        if user_id in self._told:
            self._people.one(user_id)

    async def _look(self, user_ids: Collection[str] | None) -> None:
        people = [user_id for user_id in (self._told if user_ids is None else user_ids) if user_id in self._told]
        for start in range(0, len(people), CHUNK):
            statuses = await self._presence.statuses(people[start : start + CHUNK])
            for user_id, status in statuses.items():
                if user_id in self._told:
                    self._take(user_id, status)

    def _take(self, user_id: str, status: Status) -> None:
        """Tell watchers of a status that is new to them; who has just gone may be back in a moment."""
        told = self._told.get(user_id)
        if told is not None and status.status == "offline" != told.status:
            if user_id not in self._leaving:
                loop = asyncio.get_running_loop()
                self._leaving[user_id] = loop.call_later(GRACE_S, self._gone, user_id)
            if self._leaving[user_id] is not None:
                return
        self._forget_leaving(user_id)
        self._told[user_id] = status
        if told is not None and told.status != status.status:
            frame = presence_frame(user_id, status)
            for connection in self._hub.listeners(presence_topic(user_id)):
                connection.send_ephemeral(frame)

    def _gone(self, user_id: str) -> None:
        self._leaving[user_id] = None
        self._people.one(user_id)

    def _forget_leaving(self, user_id: str) -> None:
        timer = self._leaving.pop(user_id, None)
        if timer is not None:
            timer.cancel()

    def _unwatched(self, topic: str) -> None:
        user_id = watched_person(topic)
        if user_id is not None:
            self._told.pop(user_id, None)
            self._forget_leaving(user_id)


def _watches(connection: Connection, user_id: str) -> bool:
    return presence_topic(user_id) in connection.topics
