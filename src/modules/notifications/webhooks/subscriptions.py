"""Which events any webhook wants at present: asked for every event that is published, so it is kept in memory.

Guarantees: a change is known on the instance that makes it when it answers, and on the others within a second, by
PostgreSQL's NOTIFY. Whenever that can't be known (at the start, after a signal until it is read again, while signals
are lost) everything counts as wanted: the consumer drops what nobody wants. So nothing is missed but what others
commit in the moment until the signal of a new subscription reaches them; an instance whose connection died in silence
notices that after two seconds.
"""

from collections.abc import Callable

from bus import Event, event_name
from kernel.database import Database
from kernel.rechecks import Rechecks
from kernel.signals import Signals
from modules.notifications.webhooks import catalogue
from modules.notifications.webhooks.store import webhooks
from modules.notifications.webhooks.store.webhooks import CHANGED_SIGNAL


class Subscriptions:
    """Knows what is wanted. `start` it when the database is open."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: frozenset[str] | None = None
        self._changes = 0
        self._rechecks: Rechecks[str] = Rechecks("webhook subscriptions", self._look)
        self._hears: Callable[[], bool] = lambda: True

    def wants(self, kind: type[Event]) -> Callable[[], bool]:
        """Return what tells whether such events are wanted."""
        name = event_name(kind)

        def wanted() -> bool:
            known = self._known
            return known is None or name in known or not self._hears()

        return wanted

    def listen(self, signals: Signals) -> None:
        """Hear what other instances change."""
        self._hears = lambda: signals.connected
        signals.on(CHANGED_SIGNAL, lambda _: self.changed())
        signals.on_doubt(self.changed)

    def changed(self) -> None:
        """Read again what is wanted; until then everything is."""
        self._known = None
        self._changes += 1
        self._rechecks.everything()

    def start(self) -> None:
        """Begin."""
        self._rechecks.start()
        self._rechecks.everything()

    async def stop(self) -> None:
        """End."""
        await self._rechecks.stop()

    async def _look(self, _named: frozenset[str] | None) -> None:
        changes = self._changes
        async with self._database.connection() as connection:
            found = await webhooks.wanting(connection)
        if changes == self._changes:  # else what was read may be from before the change
            self._known = catalogue.wanted(pattern for _, patterns in found for pattern in patterns)
