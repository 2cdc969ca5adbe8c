"""Mechanisms of contacts taken out, one at a time; as `tests.support.broken`, which runs them."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from kernel.database import Transaction
from modules.contacts.book import Book
from modules.contacts.service.blocking import Blocking
from modules.contacts.store import invites, pairs
from modules.messaging.contacts import Acquaintance
from modules.messaging.gateway.watching import Watching
from modules.messaging.service.directs import Directs

Patch = Callable[[Any, str, Any], None]

A_MOMENT_S = 0.05

CLOSE = """
UPDATE chat_channels AS c SET status = 'archived' FROM unnest($1::text[], $2::text[]) AS pair (low, high)
WHERE (c.direct_low, c.direct_high) = (pair.low, pair.high)
"""


def closes_without_a_record(patch: Patch) -> None:
    """A direct channel is closed by its status alone: nothing in its log says so."""

    async def close(_: Directs, tx: Transaction, pairs: Collection[tuple[str, str]]) -> None:
        await tx.connection.execute(CLOSE, [low for low, _ in pairs], [high for _, high in pairs])

    patch(Directs, "close", close)


def opens_what_was_allowed_before(patch: Patch) -> None:
    """Whether two may talk is looked up before their channel is made, and not settled with it."""

    async def settled(*_: Any) -> None:
        await asyncio.sleep(A_MOMENT_S)

    patch(Acquaintance, "settled", settled)


def blocks_without_ending(patch: Patch) -> None:
    """What waits between two when one blocks the other goes on waiting."""

    async def nothing(*_: Any) -> None:
        return None

    patch(Blocking, "_end_invites", nothing)


def watches_former_contacts(patch: Patch) -> None:
    """Nobody looks whether a watcher is a contact still."""
    patch(Watching, "contacts_changed", lambda *_: None)


def tells_the_blocked_from_nobody(patch: Patch) -> None:
    """Who asks for somebody that blocks them is told so."""

    async def none(*_: Any) -> Collection[str]:
        return ()

    patch(Book, "blocked_of", none)


def answers_without_locks(patch: Patch) -> None:
    """What becomes of an invitation is decided from what it was a moment ago."""

    async def nothing(*_: Any) -> None:
        await asyncio.sleep(A_MOMENT_S)

    patch(pairs, "lock", nothing)
    patch(invites, "LOCK", invites.LOCK.replace("FOR NO KEY UPDATE", ""))
