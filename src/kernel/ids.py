"""Identifiers: UUIDv7, so that keys sort by the time they were made and indexes grow at one end."""

from uuid import UUID

import uuid_utils.compat

new_id = uuid_utils.compat.uuid7


def parse_id(text: str) -> UUID | None:
    """Read a UUID in its canonical form; None for anything else."""
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None
