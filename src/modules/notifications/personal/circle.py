"""Presence of contacts: everybody with a personal socket is told whether their contacts are there."""

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

    async def show(self, connection: Connection) -> None:
        """Tell a socket of its person's contacts, as they are now and whenever that changes.

        Raises:
            UnavailableError: who they are can't be found out now.
        """
        if self._contacts is not None:
            shown = sorted(await self._contacts.all_contacts(connection.user_id))[:MAX_SHOWN]
            self._watchers.listen_to(connection, shown)
            await self._watchers.tell(connection, shown)

    async def changed(self, user_id: str) -> None:
        """Look again who somebody's contacts are."""
        for connection in self._visitors.connections_of(user_id):
            await self.show(connection)
