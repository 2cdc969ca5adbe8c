"""Queries on templates."""

from collections.abc import Collection
from datetime import datetime

import msgspec

from kernel.database import Connection

COLUMNS = "name, text, updated_at"

PUT = f"""
INSERT INTO contact_invite_templates AS t (name, text) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET text = excluded.text,
    updated_at = CASE WHEN t.text = excluded.text THEN t.updated_at ELSE now() END
RETURNING {COLUMNS}, (xmax = 0) AS is_new
"""
GET = f"SELECT {COLUMNS} FROM contact_invite_templates WHERE name = $1"
PAGE = f"""
SELECT {COLUMNS} FROM contact_invite_templates
WHERE $1::text IS NULL OR name COLLATE "C" > $1 ORDER BY name COLLATE "C" LIMIT $2
"""
TEXTS = "SELECT name, text FROM contact_invite_templates WHERE name = ANY($1::text[])"
DELETE = "DELETE FROM contact_invite_templates WHERE name = $1 RETURNING true"


class StoredTemplate(msgspec.Struct, frozen=True):
    """A text for invitations."""

    name: str
    text: str
    updated_at: datetime


async def put(connection: Connection, name: str, text: str) -> tuple[StoredTemplate, bool]:
    """Write one; returns it, and whether it is new."""
    [row] = await connection.fetch(PUT, name, text)
    return StoredTemplate(row["name"], row["text"], row["updated_at"]), row["is_new"]


async def get(connection: Connection, name: str) -> StoredTemplate | None:
    """Return one."""
    row = await connection.fetchrow(GET, name)
    return None if row is None else StoredTemplate(*row.values())


async def page(connection: Connection, after: str | None, limit: int) -> list[StoredTemplate]:
    """Return them by name, from the one after `after` on."""
    return [StoredTemplate(*row.values()) for row in await connection.fetch(PAGE, after, limit)]


async def texts(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """Return the texts of those that there are."""
    return {row[0]: row[1] for row in await connection.fetch(TEXTS, list(names))}


async def delete(connection: Connection, name: str) -> bool:
    """Delete one; returns whether there was one."""
    return bool(await connection.fetchval(DELETE, name))
