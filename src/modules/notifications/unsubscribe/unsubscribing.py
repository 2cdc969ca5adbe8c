"""Makes the links, and does what they ask for."""

from collections.abc import Awaitable, Callable

import structlog

from kernel.database import Database, Transaction
from modules.notifications.domain.preferences import Preferences
from modules.notifications.ports import Recipient, Recipients
from modules.notifications.store import people, secrets
from modules.notifications.unsubscribe.tokens import Wish, address_digest, read, token

log = structlog.get_logger(__name__)

PATH = "/api/notifications/unsubscribe"
KEPT_AS = "unsubscribe"
"""The name of the secret that links are signed with."""


class Links:
    """Makes the links and knows its own again."""

    def __init__(self, *, database: Database, public_url: str) -> None:
        self._database = database
        self._at = public_url.rstrip("/") + PATH
        self._secret: bytes | None = None

    async def link(self, user_id: str, address: str) -> str:
        """Return the link for a mail to this person at this address."""
        return f"{self._at}?token={token(await self.secret(), user_id, address)}"

    async def secret(self) -> bytes:
        """Return what signs the links: made up once for the whole deployment, and kept in its database."""
        if self._secret is None:
            async with self._database.transaction() as tx:
                self._secret = await secrets.find_or_make(tx.connection, KEPT_AS)
        return self._secret


class Reader:
    """Somebody who has followed a link that is good. `locale`: theirs, if we know it."""

    def __init__(self, wish: Wish, recipient: Recipient | None) -> None:
        self.user_id = wish.user_id
        self.address = wish.address
        self.email = recipient.email if recipient is not None and recipient.active else None
        self.locale = None if recipient is None else recipient.locale


class Unsubscribing:
    """Ends e-mail to whoever has a link out of one."""

    def __init__(
        self,
        *,
        database: Database,
        links: Links,
        recipients: Recipients,
        defaults: Preferences,
        reconsider: Callable[[Transaction, str], Awaitable[None]],
    ) -> None:
        """Take what it needs. `reconsider`: decides anew on what is open for somebody, once a transaction commits."""
        self._database = database
        self._links = links
        self._recipients = recipients
        self._defaults = defaults
        self._reconsider = reconsider

    async def reader(self, given: str) -> Reader | None:
        """Return whose link it is; None if it is none of ours. Changes nothing: scanners follow links, too."""
        wish = read(await self._links.secret(), given)
        if wish is None:
            return None
        return Reader(wish, (await self._recipients.find([wish.user_id])).get(wish.user_id))

    async def end(self, given: str) -> Reader | None:
        """Switch the e-mail of a link's person off, also for what is yet to be sent; doing it again changes nothing.

        Where the address isn't theirs any more nothing is changed: no more mail goes there anyway, and whoever reads
        it now has no say in what the person gets elsewhere. Returns whose link it is; None if it is none of ours.
        """
        reader = await self.reader(given)
        if reader is None or reader.email is None:
            return reader
        if address_digest(await self._links.secret(), reader.email) == reader.address:
            await self._switch_off(reader.user_id)
        return reader

    async def _switch_off(self, user_id: str) -> None:
        async with self._database.transaction() as tx:
            if await people.end_email(tx.connection, user_id, self._defaults):
                await self._reconsider(tx, user_id)
        log.info("unsubscribed", transport="email")
