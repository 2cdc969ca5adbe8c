"""Mechanisms of the personal socket taken out, one at a time; they are run as those in `broken`."""

from collections.abc import Callable
from typing import Any

from modules.notifications.personal import latest
from modules.notifications.personal.badges import Badges
from modules.notifications.personal.circle import Circle
from modules.notifications.personal.hints import Hints
from modules.notifications.personal.latest import Latest
from realtime.company import Visitors
from realtime.connection import Connection

Patch = Callable[[Any, str, Any], None]

A_WHILE_S = 2.5


def deaf_to_hints(patch: Patch) -> None:
    """An instance doesn't hear whose counts the others change."""
    patch(Hints, "_hinted", lambda *_: None)


def badges_in_any_order(patch: Patch) -> None:
    """Who has room again is told what waited after what is new."""
    patch(latest, "RETRY_S", A_WHILE_S)
    patch(Latest, "put", _put_at_once)


def _put_at_once(self: Latest, connection: Connection, channel_id: Any, badge: Any) -> None:
    if connection.has_room:
        connection.send(badge)
    else:
        self._waiting.setdefault(connection, {}).setdefault(channel_id, badge)
        self._try_later()


def never_looks_back(patch: Patch) -> None:
    """What wasn't heard of while others were out of reach is never looked for."""
    for name in ("in_doubt", "missed_something", "other_was_away"):
        patch(Badges, name, lambda *_: None)


def counts_as_a_device(patch: Patch) -> None:
    """A personal socket is taken for somebody who is there."""
    register, drop = Visitors.register, Visitors.drop

    def registered(self: Visitors, connection: Connection) -> None:
        register(self, connection)
        self._hub.register(connection)

    def dropped(self: Visitors, connection: Connection) -> None:
        self._hub.drop(connection)
        drop(self, connection)

    patch(Visitors, "register", registered)
    patch(Visitors, "drop", dropped)


def acquainted(patch: Patch) -> None:
    """Not broken: everybody who is called fay-something is a contact of ana-something of the same scene."""

    class Fays:
        async def all_contacts(self, user_id: str) -> list[str]:
            name, _, scene = user_id.partition("-")
            return [f"fay-{scene}"] if name == "ana" else []

    init = Circle.__init__
    patch(Circle, "__init__", lambda self, watchers, visitors, _: init(self, watchers, visitors, Fays()))
