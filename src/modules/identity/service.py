"""What can be done with people. The host is the authority: what it puts is what is so."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

import asyncpg

from bus import Bus
from kernel.database import Database
from kernel.errors import (
    ConflictError,
    FieldError,
    MalformedError,
    NotFoundError,
    ParleyError,
    UnavailableError,
)
from kernel.ids import new_id
from kernel.ratelimit import RateLimit
from kernel.signals import notify
from modules.identity import domain, store
from modules.identity.events import USER_SIGNAL, UserDeactivated, UserUpdated
from modules.identity.schemas import Me, UserEntry
from modules.identity.store import Saved

ATTEMPTS = 5
PINS_PER_S = 0.05
PINS_AT_ONCE = 3

Outcome: TypeAlias = Saved | ParleyError


class People:
    """Creates, changes and deactivates people, and reports it on the bus."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._renewals = RateLimit("new connect pins", per_s=PINS_PER_S, burst=PINS_AT_ONCE)

    async def put(self, entry: UserEntry) -> Saved:
        """Create or replace a profile. Somebody deactivated comes back with a fresh one.

        Raises:
            MalformedError: naming the fields.
            ConflictError: somebody else has the username.
        """
        (outcome,) = await self.put_all([entry])
        if isinstance(outcome, ParleyError):
            raise outcome
        return outcome

    async def put_all(self, entries: Sequence[UserEntry]) -> list[Outcome]:
        """Create or replace profiles; returns what became of each, in order. A bad entry fails alone."""
        outcomes: list[Outcome | None] = [_refusal(entry) for entry in entries]
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if entry.user_id in seen:
                outcomes[index] = ConflictError("This user_id appears earlier in the batch")
            seen.add(entry.user_id)
        accepted = [index for index, outcome in enumerate(outcomes) if outcome is None]
        saved = await self._save([entries[index] for index in accepted]) if accepted else []
        settled = dict(zip(accepted, saved, strict=True))
        return [outcome or settled[index] for index, outcome in enumerate(outcomes)]

    async def me(self, user_id: str) -> Me:
        """Return one's own profile.

        Raises:
            NotFoundError: unknown or deactivated.
        """
        async with self._database.connection() as connection:
            me = await store.me(connection, user_id)
        if me is None:
            raise NotFoundError
        return me

    async def renew_pin(self, user_id: str) -> str:
        """Return one's new connect pin. The one before it finds nobody any more.

        Raises:
            TooManyRequestsError: too often.
            NotFoundError: unknown or deactivated.
            UnavailableError: all pins that were made up were taken, which isn't to be expected.
        """
        self._renewals.take(user_id)
        for _ in range(ATTEMPTS):
            pin = domain.new_pin()
            with suppress(asyncpg.UniqueViolationError):
                async with self._database.connection() as connection:
                    if not await store.renew_pin(connection, user_id, pin):
                        raise NotFoundError
                return pin
        raise UnavailableError

    async def get_or_create(self, username: str, display_name: str | None) -> Me:
        """Return the person with this username, made up on the spot if need be. For development only."""
        for _ in range(ATTEMPTS):
            async with self._database.connection() as connection:
                me = await store.me_by_username(connection, username)
            if me is not None:
                return me
            entry = UserEntry(user_id=str(new_id()), username=username, display_name=display_name or username)
            (outcome,) = await self.put_all([entry])
            if isinstance(outcome, MalformedError):
                raise outcome
        raise UnavailableError

    async def deactivate(self, user_id: str) -> None:
        """Erase a person's profile and refuse their tokens from now on; once more changes nothing.

        Raises:
            NotFoundError: there never was such a person.
        """
        pseudonym = domain.new_pseudonym()
        async with self._database.transaction() as tx:
            if await store.deactivate(tx.connection, user_id, pseudonym, domain.PSEUDONYM_DISPLAY_NAME):
                await self._bus.publish(tx, UserDeactivated(user_id=user_id))
                await notify(tx.connection, USER_SIGNAL, user_id)
            elif not await store.exists(tx.connection, user_id):
                raise NotFoundError

    async def _save(self, entries: Sequence[UserEntry]) -> list[Outcome]:
        for _ in range(ATTEMPTS):
            try:
                async with self._database.transaction() as tx:
                    saved = await store.save(tx.connection, entries)
                    changes = _changes(entries, saved)
                    await self._bus.publish(tx, *changes)
                    await notify(tx.connection, USER_SIGNAL, *(change.user_id for change in changes))
                return [one or _username_taken() for one in saved]
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                continue
        raise UnavailableError


def _changes(entries: Sequence[UserEntry], saved: Sequence[Saved | None]) -> list[UserUpdated]:
    pairs = zip(entries, saved, strict=True)
    return [UserUpdated(user_id=entry.user_id) for entry, one in pairs if one and one.status != "unchanged"]


def _refusal(entry: UserEntry) -> MalformedError | None:
    found = {
        "/user_id": domain.user_id_problem(entry.user_id),
        "/username": domain.username_problem(entry.username),
        "/phone": entry.phone and domain.phone_problem(entry.phone),
        "/time_zone": entry.time_zone and domain.time_zone_problem(entry.time_zone),
    }
    errors = [FieldError(pointer, message) for pointer, message in found.items() if message]
    return MalformedError("The profile is not acceptable", errors=errors) if errors else None


def _username_taken() -> ConflictError:
    return ConflictError("Somebody else has this username", errors=[FieldError("/username", "is taken")])
