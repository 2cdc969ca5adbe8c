"""Secrets that are made up here."""

import secrets

from kernel.database import Connection

BYTES = 32

FIND = "SELECT secret FROM notification_secrets WHERE name = $1"

ADD = "INSERT INTO notification_secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING"


async def find_or_make(connection: Connection, name: str) -> bytes:
    """Return a secret; whoever is first makes it up, and those who race for it get the same one."""
    found = await connection.fetchval(FIND, name)
    if found is None:
        await connection.execute(ADD, name, secrets.token_bytes(BYTES))
        found = await connection.fetchval(FIND, name)
    return bytes(found)
