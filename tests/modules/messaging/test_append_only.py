"""The log is append-only in the database itself: for the server's role, for the owner, and in replication mode."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from kernel.database import Database
from tests.support.chat import chat
from tests.support.databases import Databases, execute
from tests.support.log import damage, read
from tests.support.pens import make_context, pen
from tests.support.servers import Host, running_server

CHANGES = (
    "UPDATE chat_messages SET content = 'never said'",
    "UPDATE chat_messages SET seq = seq + 1",
    "DELETE FROM chat_messages",
    "TRUNCATE chat_messages",
    "INSERT INTO chat_messages SELECT * FROM chat_messages ON CONFLICT (channel_id, seq) DO UPDATE SET content = ''",
)


@pytest.fixture
async def stored(database: Database, dsn: str) -> AsyncIterator[None]:
    """Three messages, which must be there unchanged at the end."""
    await make_context(database, "b1", {"ana": "worker"})
    async with pen(database) as p:
        for n in range(3):
            await p.stored("b1", "ana", f"c{n}", "said")
    before = await read(dsn, "b1")
    assert len(before.records) == 3
    yield
    assert await read(dsn, "b1") == before
    assert damage(before) == []


@pytest.fixture
def modest_dsn(postgres: Databases) -> Iterator[str]:
    """A database whose owner may make neither roles nor databases."""
    user = f"modest_{uuid4().hex}"
    try:
        with postgres.blank() as dsn:
            asyncio.run(execute(dsn, f"CREATE ROLE {user} LOGIN; ALTER SCHEMA public OWNER TO {user}"))
            yield urlunsplit(urlsplit(dsn)._replace(netloc=f"{user}@"))
    finally:
        postgres.run(f"DROP ROLE {user}")


@pytest.mark.parametrize("change", CHANGES)
async def test_the_servers_role_may_not(stored: None, database: Database, change: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await database.pool.execute(change)


@pytest.mark.parametrize("mode", ["origin", "replica", "local"])
@pytest.mark.parametrize("change", CHANGES)
async def test_nor_may_the_owner_or_a_superuser(stored: None, dsn: str, change: str, mode: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await execute(dsn, f"SET session_replication_role = {mode}; {change}")


async def test_the_servers_role_may_not_remove_what_stops_it(stored: None, database: Database) -> None:
    for statement in (
        "ALTER TABLE chat_messages DISABLE TRIGGER ALL",
        "DROP TRIGGER refuse_change ON chat_messages",
        "DROP TABLE chat_messages",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.pool.execute(statement)


async def test_what_the_checks_find_when_a_trigger_is_gone(database: Database, dsn: str) -> None:
    """The broken variant: somebody with all rights takes the trigger away and changes one letter."""
    await make_context(database, "b1", {"ana": "worker"})
    async with pen(database) as p:
        for n in range(5):
            await p.stored("b1", "ana", f"c{n}", "said")
    await execute(dsn, "ALTER TABLE chat_messages DISABLE TRIGGER refuse_change")
    await execute(dsn, "UPDATE chat_messages SET content = 'Said' WHERE seq = 3")
    assert damage(await read(dsn, "b1")) == ["chain: broken at 3"]
    await execute(dsn, "DELETE FROM chat_messages WHERE seq = 5")
    assert any(fault.startswith("places") for fault in damage(await read(dsn, "b1")))


async def test_a_user_who_may_not_make_roles_gets_the_triggers_alone_and_is_told(
    modest_dsn: str, tmp_path: Path
) -> None:
    """The server starts, says so, works; and nobody short of a superuser gets round the triggers."""
    log = tmp_path / "server.log"
    with running_server(modest_dsn, tmp_path) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            ana = host.user("ana")
            host.context("b1", {"ana": "worker"})
        async with chat(server.ws_url, ana) as socket:
            await socket.message("said", context={"type": "booking", "id": "b1"})
        assert "no_runtime_role" in log.read_text()
    for change in CHANGES:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await execute(modest_dsn, change)
    assert damage(await read(modest_dsn, "b1")) == []
