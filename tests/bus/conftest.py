"""A table for the effects of handlers."""

import pytest

from bus import consumer
from kernel.database import Database
from tests.support.databases import execute
from tests.support.events import EFFECTS


@pytest.fixture
async def effects(dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database with a table `effects`, and consumers that look often."""
    monkeypatch.setattr(consumer, "POLL_S", 0.02)
    await execute(dsn, EFFECTS)
    return database
