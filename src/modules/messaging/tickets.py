"""Tickets for sockets: single use, half a minute, kept as hashes, good on any instance."""

import hashlib
import secrets

from kernel.auth import Principal
from kernel.clock import rfc3339
from kernel.database import Database
from kernel.errors import UnauthenticatedError
from modules.messaging.schemas.tickets import Ticket
from modules.messaging.store import tickets as store

TTL_S = 30


class Tickets:
    """Trades a token for a ticket, and the ticket, once, for the person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, caller: Principal) -> Ticket:
        """Return a new ticket for `caller`; whoever brings it within `TTL_S` seconds is let in as them."""
        ticket = secrets.token_urlsafe(32)
        async with self._database.transaction() as tx:
            await tx.connection.execute(store.FORGET_TICKETS)
            expires_at = await tx.connection.fetchval(
                store.ISSUE_TICKET, _hash(ticket), caller.id, caller.role, caller.expires_at, TTL_S
            )
        return Ticket(ticket, rfc3339(expires_at))

    async def redeem(self, ticket: str) -> Principal:
        """Return who the ticket was made for, and use it up.

        Raises:
            UnauthenticatedError: unknown, used or too old.
        """
        async with self._database.transaction() as tx:
            row = await tx.connection.fetchrow(store.REDEEM_TICKET, _hash(ticket))
        if row is None or not row["fresh"]:
            raise UnauthenticatedError("The ticket is not valid")
        return Principal("user", row["user_id"], row["role"], expires_at=row["exp"])


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).digest()
