"""Queries on identity's tables."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from kernel.clock import rfc3339
from kernel.database import Connection
from modules.identity import domain
from modules.identity.schemas import Me, UserEntry

COLUMNS = ("user_id", "username", "display_name", "avatar_url", "phone", "email", "time_zone", "locale")

SAVE = """
WITH incoming AS (
    SELECT row.*, holder.user_id AS holder_id,
        row_number() OVER (PARTITION BY lower(row.username)
                           ORDER BY (holder.user_id = row.user_id) IS TRUE DESC, position) AS claim
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::bytea[]) WITH ORDINALITY
        AS row (user_id, username, display_name, avatar_url, phone, email, time_zone, locale,
                connect_pin, connect_pin_hash, position)
    LEFT JOIN identity_users holder
        ON lower(holder.username) = lower(row.username) AND holder.deactivated_at IS NULL
), acceptable AS (
    SELECT * FROM incoming WHERE claim = 1 AND coalesce(holder_id = user_id, true)
), written AS (
    INSERT INTO identity_users AS u (user_id, username, display_name, avatar_url, phone, email, time_zone,
                                     locale, connect_pin, connect_pin_hash)
    SELECT user_id, username, display_name, avatar_url, phone, email, time_zone, locale,
           connect_pin, connect_pin_hash
    FROM acceptable ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET
        username = excluded.username, display_name = excluded.display_name,
        avatar_url = excluded.avatar_url, phone = excluded.phone, email = excluded.email,
        time_zone = excluded.time_zone, locale = excluded.locale,
        connect_pin = coalesce(u.connect_pin, excluded.connect_pin),
        connect_pin_hash = coalesce(u.connect_pin_hash, excluded.connect_pin_hash),
        created_at = CASE WHEN u.deactivated_at IS NULL THEN u.created_at ELSE now() END,
        updated_at = now(), deactivated_at = NULL
    WHERE u.deactivated_at IS NOT NULL
       OR (u.username, u.display_name, u.avatar_url, u.phone, u.email, u.time_zone, u.locale)
          IS DISTINCT FROM (excluded.username, excluded.display_name, excluded.avatar_url, excluded.phone,
                            excluded.email, excluded.time_zone, excluded.locale)
    RETURNING user_id, created_at, updated_at
)
SELECT acceptable.user_id IS NULL AS taken,
    CASE WHEN written.user_id IS NULL THEN 'unchanged'
         WHEN written.created_at = now() THEN 'created' ELSE 'updated' END AS status,
    coalesce(written.created_at, before.created_at, now()) AS created_at,
    coalesce(written.updated_at, before.updated_at, now()) AS updated_at
FROM incoming
LEFT JOIN acceptable USING (user_id)
LEFT JOIN written USING (user_id)
LEFT JOIN identity_users before USING (user_id)
ORDER BY incoming.position
"""
"""Whoever holds a username keeps the first claim on it, then the order of the batch counts."""

FIND = """
SELECT user_id, username, display_name, avatar_url, phone, email, time_zone, locale,
       deactivated_at IS NULL AS active
FROM identity_users WHERE user_id = ANY($1::text[])
"""

BY_PINS = "SELECT connect_pin_hash, user_id FROM identity_users WHERE connect_pin_hash = ANY($1::bytea[])"

BY_USERNAMES = """
SELECT lower(username), user_id FROM identity_users
WHERE lower(username) = ANY($1::text[]) AND deactivated_at IS NULL
"""

MATCHING = """
SELECT user_id FROM identity_users
WHERE user_id = ANY($1::text[]) AND (position(lower($2) in lower(username)) > 0
                                     OR position(lower($2) in lower(display_name)) > 0)
"""

RENEW_PIN = """
UPDATE identity_users SET connect_pin = $2, connect_pin_hash = $3, updated_at = now()
WHERE user_id = $1 AND deactivated_at IS NULL RETURNING true
"""

ME = """
SELECT user_id, username, display_name, avatar_url, phone, email, time_zone, locale, created_at, updated_at,
       connect_pin
FROM identity_users WHERE deactivated_at IS NULL AND
"""

DEACTIVATE = """
UPDATE identity_users SET username = $2, display_name = $3, avatar_url = NULL, phone = NULL, email = NULL,
    time_zone = NULL, locale = NULL, connect_pin = NULL, connect_pin_hash = NULL,
    updated_at = now(), deactivated_at = now()
WHERE user_id = $1 AND deactivated_at IS NULL
"""


class Saved(msgspec.Struct, frozen=True):
    """What became of an entry."""

    status: Literal["created", "updated", "unchanged"]
    created_at: datetime
    updated_at: datetime


class Profile(msgspec.Struct, frozen=True):
    """A person, as the rest of Parley knows them."""

    user_id: str
    username: str
    display_name: str
    avatar_url: str | None
    phone: str | None
    email: str | None
    time_zone: str | None
    locale: str | None
    active: bool


async def save(connection: Connection, entries: Sequence[UserEntry]) -> list[Saved | None]:
    """Write entries (each of another person) in one statement; returns what became of each, in their order.

    None: somebody else has the username, and nothing was written. It is free unless somebody else holds it
    before the statement or claims it earlier in it. Who had been deactivated begins anew, with another pin.

    Raises:
        asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError: somebody wrote the same at the same
            moment; worth another try.
    """
    columns = [[getattr(entry, column) for entry in entries] for column in COLUMNS]
    pins = [domain.new_pin() for _ in entries]
    rows = await connection.fetch(SAVE, *columns, pins, [domain.pin_hash(pin) for pin in pins])
    return [None if row["taken"] else Saved(row["status"], row["created_at"], row["updated_at"]) for row in rows]


async def find(connection: Connection, user_ids: Collection[str]) -> list[Profile]:
    """Return the profiles of those who exist, in one query."""
    return [Profile(*row.values()) for row in await connection.fetch(FIND, list(user_ids))]


async def me(connection: Connection, user_id: str) -> Me | None:
    """Return an active person by id."""
    return _me(await connection.fetchrow(ME + "user_id = $1", user_id))


async def me_by_username(connection: Connection, username: str) -> Me | None:
    """Return an active person by username, whatever its case."""
    return _me(await connection.fetchrow(ME + "lower(username) = lower($1)", username))


async def by_pins(connection: Connection, hashes: Collection[bytes]) -> dict[bytes, str]:
    """Return the ids of active people by the hashes of their pins."""
    return {row[0]: row[1] for row in await connection.fetch(BY_PINS, list(hashes))}


async def by_usernames(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """Return the ids of active people by their usernames in lower case."""
    return {row[0]: row[1] for row in await connection.fetch(BY_USERNAMES, list(names))}


async def matching(connection: Connection, user_ids: Collection[str], text: str) -> set[str]:
    """Return those of these people whose username or display name contains a text, whatever its case."""
    return {row[0] for row in await connection.fetch(MATCHING, list(user_ids), text)}


async def renew_pin(connection: Connection, user_id: str, pin: str) -> bool:
    """Give an active person another pin; False when there is nobody active."""
    return bool(await connection.fetchval(RENEW_PIN, user_id, pin, domain.pin_hash(pin)))


async def deactivate(connection: Connection, user_id: str, username: str, display_name: str) -> bool:
    """Replace an active person's profile by a pseudonym; False when there was nobody active."""
    return await connection.execute(DEACTIVATE, user_id, username, display_name) == "UPDATE 1"


async def exists(connection: Connection, user_id: str) -> bool:
    """Return whether a person is known, deactivated or not."""
    return bool(await connection.fetchval("SELECT true FROM identity_users WHERE user_id = $1", user_id))


def _me(row: asyncpg.Record | None) -> Me | None:
    if row is None:
        return None
    return Me(**{**row, "created_at": rfc3339(row["created_at"]), "updated_at": rfc3339(row["updated_at"])})
