"""Presence of contacts: everybody with a personal socket is told whether their contacts are there.

Guarantees: of who isn't a contact any more nothing is told from the moment on in which that was looked at; who has
become one is told of then.
"""

from collections.abc import Collection

from kernel.rechecks import Rechecks
from modules.notifications.personal.ports import Contacts
from realtime.company import Visitors
from realtime.connection import Connection
from realtime.presence.watchers import Watchers

MAX_SHOWN = 500
"""Contacts of one person whose presence is told; of those beyond, none."""


class Circle:
    """Lets sockets watch the contacts of their people. Without a `Contacts` nobody has any."""

    def __init__(self, watchers: Watchers, visitors: Visitors, contacts: Contacts | None) -> None:
        self._watchers = watchers
        self._visitors = visitors
        self._contacts = contacts
        self._people: Rechecks[str] = Rechecks("contacts", self._look)
        self.start, self.stop = self._people.start, self._people.stop

    async def show(self, connection: Connection) -> None:
        """Tell a socket of its person's contacts, as they are now and whenever that changes.

        Raises:
            UnavailableError: who they are can't be found out now.
        """
        if self._contacts is not None:
            shown = sorted(await self._contacts.all_contacts(connection.user_id))[:MAX_SHOWN]
            self._watchers.listen_to(connection, shown)
            await self._watchers.tell(connection, shown)

    def changed(self, user_id: str) -> None:
        """Look again who somebody's contacts are, if they are here."""
        if self._visitors.connections_of(user_id):
            self._people.one(user_id)

    def anyone_changed(self) -> None:
        """Look again who everybody's contacts are: changes may have been missed."""
        self._people.everything()

    async def _look(self, user_ids: Collection[str] | None) -> None:
        for user_id in list(self._visitors.people if user_ids is None else user_ids):
            for connection in self._visitors.connections_of(user_id):
                await self.show(connection)
