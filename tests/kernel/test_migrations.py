"""Migrations: reversible, all or nothing, one at a time, and what the models say."""

import importlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from kernel import migrate
from kernel.database import Connection as DatabaseConnection
from kernel.database import Database, sqlalchemy_url
from kernel.orm import metadata
from modules.messaging.module import rebuild_state
from tests.support.databases import Databases, execute
from tests.support.servers import PARLEY, ROOT, environment

REVISIONS = [
    "0001_bus",
    "0002_identity",
    "0003_messaging",
    "0004_notifications",
    "0005_conversations",
    "0006_search",
    "0007_alerts_by_transport",
    "0008_delivery_machine",
    "0009_push",
    "0010_notification_secrets",
    "0011_webhooks",
    "0012_contacts",
    "0013_invite_alerts",
]

CATALOGUE = """
SELECT 'table ' || relname, coalesce(array_to_string(reloptions, ','), '') FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')
UNION ALL
SELECT format('column %s.%s', attrelid::regclass, attname),
    concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
        attgenerated, pg_get_expr(adbin, adrelid))
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef d ON (adrelid, adnum) = (attrelid, attnum)
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT format('constraint %s.%s', conrelid::regclass, conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'function ' || oid::regprocedure, pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
UNION ALL
SELECT format('trigger %s.%s', tgrelid::regclass, tgname), pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger
WHERE NOT tgisinternal
UNION ALL
SELECT 'type ' || typname, typtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
UNION ALL
SELECT 'schema ' || nspname, '' FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'
UNION ALL
SELECT 'extension ' || extname, extversion FROM pg_extension
"""

Catalogue = dict[str, str]


@pytest.fixture
def blank(postgres: Databases) -> Iterator[str]:
    """The DSN of a database without tables."""
    with postgres.blank() as dsn:
        yield dsn


async def catalogue(dsn: str) -> Catalogue:
    """Return all that a database is made of, but for Alembic's own table."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(CATALOGUE)
    return {name: definition for name, definition in rows if "alembic_version" not in name}


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[DatabaseConnection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def revision(dsn: str) -> str | None:
    """Return the revision that a database is at."""
    async with connected(dsn) as connection:
        found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return found


async def test_every_step_can_be_undone_to_the_last_trace_and_done_again(blank: str) -> None:
    states = [await catalogue(blank)]
    for name in REVISIONS:
        await migrate._migrate(blank, name)
        states.append(await catalogue(blank))
        assert await revision(blank) == name
    assert all(len(later) > len(earlier) for earlier, later in pairwise(states))

    for name, expected in zip([*REVISIONS[-2::-1], "base"], states[-2::-1], strict=True):
        await migrate.downgrade(blank, name)
        assert await catalogue(blank) == expected, name

    await migrate.upgrade(blank)
    assert await catalogue(blank) == states[-1]
    assert await revision(blank) == REVISIONS[-1]


async def test_a_forgotten_remainder_is_found(blank: str) -> None:
    """The broken variant: a type stays behind."""
    before = await catalogue(blank)
    await execute(blank, "CREATE TYPE forgotten AS ENUM ('x')")
    assert (await catalogue(blank)).keys() - before.keys() == {"type forgotten", "type _forgotten"}


async def differences(dsn: str) -> list[Any]:
    """Return what Alembic would change to make the schema what the models say."""
    for file in sorted((ROOT / "src").rglob("models.py")):
        importlib.import_module(".".join(file.relative_to(ROOT / "src").with_suffix("").parts))

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    engine = create_async_engine(sqlalchemy_url(dsn))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


async def test_the_models_say_what_the_migrations_make(dsn: str) -> None:
    assert await differences(dsn) == []
    assert len(metadata.tables) > 10


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE chat_messages ADD COLUMN more text",
        "ALTER TABLE chat_messages DROP COLUMN target_id",
        "ALTER TABLE chat_participants ALTER COLUMN last_read_seq TYPE integer",
        "ALTER TABLE chat_participants ALTER COLUMN last_read_seq SET DEFAULT 1",
        "ALTER TABLE chat_contexts ALTER COLUMN title SET NOT NULL",
        "ALTER TABLE chat_messages DROP CONSTRAINT uq_chat_messages_id",
        "DROP INDEX ix_bus_outbox_waiting",
        "CREATE TABLE more (id uuid PRIMARY KEY)",
    ],
)
async def test_a_difference_is_found(dsn: str, change: str) -> None:
    """Broken variants: the schema isn't what the models say."""
    await execute(dsn, change)
    assert await differences(dsn)


async def test_what_is_stored_outlives_migrations(blank: str) -> None:
    await migrate._migrate(blank, "0003_messaging")
    await execute(
        blank,
        """
        INSERT INTO identity_users (user_id, username, display_name) VALUES ('ana', 'ana', 'Ana');
        INSERT INTO chat_contexts (context_type, context_id) VALUES ('booking', 'b1');
        INSERT INTO chat_messages (channel_id, seq, id, kind, content, created_at, hash)
        VALUES (gen_random_uuid(), 1, gen_random_uuid(), 'text', 'kept', now(), '\\x00');
        """,
    )
    before = await rows(blank)
    await migrate.upgrade(blank)
    assert await rows(blank) == before
    await migrate.downgrade(blank, "0003_messaging")
    assert await rows(blank) == before


async def rows(dsn: str) -> list[Any]:
    """Return what the tables of the first three migrations hold."""
    async with connected(dsn) as connection:
        tables = ("identity_users", "chat_contexts", "chat_messages")
        return [list(await connection.fetch(f"SELECT * FROM {table}")) for table in tables]


CONTACTS = """
INSERT INTO contact_pairs (low_id, high_id) VALUES ('ana', 'ben');
INSERT INTO contact_blocks (blocker_id, blocked_id) VALUES ('ben', 'cleo');
INSERT INTO contact_invites (id, kind, status, invitor_id, invitee_id, channel_id, channel_role, channel_title, message,
                             metadata, created_at, expires_at, responded_at, remind_at, reminders)
VALUES (md5('1')::uuid, 'contact', 'accepted', 'ana', 'ben', NULL, NULL, NULL, 'It''s Ana', '{"a": [1]}',
        now(), now() + interval '1 day', now(), NULL, 1),
       (md5('2')::uuid, 'channel', 'pending', 'ana', 'cleo', md5('3')::uuid, 'member', 'Dock 4', NULL, '{}',
        now(), now() + interval '1 day', NULL, now(), 0);
INSERT INTO contact_invite_history (invite_id, status, at, by)
VALUES (md5('1')::uuid, 'pending', now(), 'ana'), (md5('1')::uuid, 'accepted', now(), 'ben'),
       (md5('2')::uuid, 'pending', now(), 'ana');
INSERT INTO contact_invite_templates (name, text) VALUES ('crew', 'Join {channel}');
INSERT INTO contact_usage (scope, subject, since, count) VALUES ('sender', '\\x00', now(), 3)
"""


async def test_contacts_come_and_go_with_all_that_they_hold(blank: str) -> None:
    await migrate._migrate(blank, "0011_webhooks")
    person = "INSERT INTO identity_users (user_id, username, display_name) VALUES ('ana', 'ana', 'Ana')"
    await execute(blank, person)
    before, others = await catalogue(blank), await rows(blank)
    await migrate._migrate(blank, "0012_contacts")
    await execute(blank, CONTACTS)
    held = await of_contacts(blank)
    assert len(held) == 6
    assert all(held.values()), "each table holds something"
    await migrate.upgrade(blank)
    assert await of_contacts(blank) == held
    await migrate.downgrade(blank, "0012_contacts")
    assert await of_contacts(blank) == held
    await migrate.downgrade(blank, "0011_webhooks")
    assert (await catalogue(blank), await rows(blank)) == (before, others)


async def of_contacts(dsn: str) -> dict[str, list[Any]]:
    """Return what the tables of contacts hold, by their names."""
    async with connected(dsn) as connection:
        query = "SELECT relname FROM pg_class WHERE relname LIKE 'contact\\_%' AND relkind = 'r'"
        names = [row[0] for row in await connection.fetch(query)]
        return {name: [tuple(row) for row in await connection.fetch(f"SELECT * FROM {name}")] for name in names}


async def test_a_failing_migration_leaves_everything_as_it_was(
    blank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate._migrate(blank, "0002_identity")
    before = await catalogue(blank)
    scripts = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", scripts)
    (scripts / "versions" / "9999_fails.py").write_text(
        "from alembic import op\n"
        "revision = '9999_fails'\n"
        f"down_revision = {REVISIONS[-1]!r}\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE half (id integer)')\n"
        "    op.execute('SELECT nonsense')\n"
    )
    monkeypatch.setattr(migrate, "_scripts", lambda: scripts)
    with pytest.raises(ProgrammingError):
        await migrate.upgrade(blank)
    assert await catalogue(blank) == before
    assert await revision(blank) == "0002_identity"

    (scripts / "versions" / "9999_fails.py").unlink()
    await migrate.upgrade(blank)
    assert await revision(blank) == REVISIONS[-1]


def test_processes_that_start_at_once_migrate_once(blank: str, tmp_path: Path) -> None:
    command = [PARLEY, "migrate"]
    settings = environment(blank, tmp_path)
    starts = [
        subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(4)
    ]
    outcomes = [(start.communicate(timeout=60)[0].decode(), start.returncode) for start in starts]
    assert [code for _, code in outcomes] == [0] * 4, outcomes
    assert all("newest schema" in said for said, _ in outcomes)


async def test_the_server_knows_whether_migrations_are_pending(blank: str) -> None:
    async def at_head() -> bool:
        engine = create_async_engine(sqlalchemy_url(blank))
        try:
            async with engine.connect() as connection:
                return await migrate.at_head(connection)
        finally:
            await engine.dispose()

    assert not await at_head()
    await migrate._migrate(blank, REVISIONS[-2])
    assert not await at_head()
    await migrate.upgrade(blank)
    assert await at_head()


async def test_the_run_time_role_may_not_change_the_log(dsn: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute("SET ROLE parley_runtime")
        for statement in (
            "UPDATE chat_messages SET content = ''",
            "DELETE FROM chat_messages",
            "TRUNCATE chat_messages",
            "ALTER TABLE chat_messages DISABLE TRIGGER ALL",
            "DROP TABLE chat_messages",
            "CREATE TABLE mine (id integer)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


INVITATIONS = """
INSERT INTO notification_alerts (user_id, thread_id, transport, category, alerted_to, to_seq, message_count, begun_at,
    due_at)
SELECT 'ben', md5(category)::uuid, 'sms', category, 2, 3, 1, now(), now()
FROM unnest('{messages,invites}'::text[]) AS category;
INSERT INTO notification_deliveries (id, user_id, transport, category, thread_id, from_seq, to_seq, message_count,
    state, claim_id, lease_until, due_at, created_at, updated_at)
SELECT md5(category || seq)::uuid, 'ben', 'sms', category, md5(category)::uuid, seq, seq, 1, state,
    CASE WHEN state = 'sending' THEN md5('claim')::uuid END, CASE WHEN state = 'sending' THEN now() END,
    now(), now(), now()
FROM unnest('{messages,invites}'::text[]) AS category,
    (VALUES (1, 'accepted'), (2, 'pending'), (3, 'sending')) AS row (seq, state)
ORDER BY category, seq;
"""


async def test_alerts_of_messages_outlive_the_way_back_and_those_of_invitations_leave_a_ledger(dsn: str) -> None:
    """Nothing is sent of an invitation by a program that would take it for a channel."""
    ledger = "SELECT category, {} IS NULL, from_seq, state, reason FROM notification_deliveries ORDER BY id"
    alerts = "SELECT {}, alerted_to, to_seq, due_at FROM notification_alerts ORDER BY 1"
    async with connected(dsn) as connection:
        await connection.execute(INVITATIONS)
        before = await connection.fetch(ledger.format("thread_id"))
        found = {row["category"]: row for row in await connection.fetch(alerts.format("thread_id, category"))}
        of_messages = found["messages"]
    await migrate.downgrade(dsn, "0012_contacts")
    async with connected(dsn) as connection:
        after = await connection.fetch(ledger.format("channel_id"))
        assert [row for row in after if row[0] == "messages"] == [row for row in before if row[0] == "messages"]
        assert sorted(tuple(row)[1:] for row in after if row[0] == "invites") == [
            (True, None, "accepted", None),
            (True, None, "suppressed", "downgraded"),
            (True, None, "unknown", "downgraded"),
        ]
        [kept] = await connection.fetch(alerts.format("channel_id"))
        assert tuple(kept) == (of_messages[0], *of_messages[2:])
    await migrate.upgrade(dsn)
    async with connected(dsn) as connection:
        [again] = await connection.fetch("SELECT category, alerted_to FROM notification_alerts")
        assert tuple(again) == ("messages", 2)


CONVERSATION = """
INSERT INTO chat_channels (id, kind, genesis, head_hash, last_record_at, created_at, direct_low, direct_high)
VALUES (md5('c')::uuid, 'direct', '{}', '', now(), now(), 'ana', 'ben');
INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
SELECT md5('c')::uuid, person, 'member', now() FROM unnest('{ben,ana}'::text[]) AS person;
INSERT INTO chat_messages (channel_id, seq, id, kind, sender_id, content, target_id, details, created_at, hash)
SELECT md5('c')::uuid, seq, md5(seq::text)::uuid, kind, sender, content, md5(target::text)::uuid, details::jsonb,
    now(), ''
FROM (VALUES
    (1, 'text', 'ana', 'one', NULL, NULL),
    (2, 'text', 'ben', 'two', NULL, NULL),
    (3, 'revision', 'ana', 'uno', 1, '{"revision": 1}'),
    (4, 'reaction', 'ana', NULL, 1, '{"emoji": "a"}'),
    (5, 'reaction', 'ben', NULL, 1, '{"emoji": "a"}'),
    (6, 'reaction', 'ben', NULL, 1, '{"emoji": "b"}'),
    (7, 'reaction_removed', 'ana', NULL, 1, '{"emoji": "a"}'),
    (8, 'reaction_removed', 'ben', NULL, 1, '{"emoji": "b"}'),
    (9, 'deletion', 'ben', NULL, 2, NULL)
) AS record (seq, kind, sender, content, target, details)
"""


async def test_conversations_survive_the_way_back_and_forth(dsn: str) -> None:
    """Direct channels remain the only ones of their two, and what was deleted remains hidden."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(CONVERSATION)
    await connection.close()
    await migrate.downgrade(dsn, "0004_notifications")
    await migrate.upgrade(dsn)
    connection = await asyncpg.connect(dsn)
    pairs = await connection.fetch("SELECT direct_low, direct_high FROM chat_channels")
    await connection.close()
    assert [tuple(pair) for pair in pairs] == [("ana", "ben")]
    database = await Database.connect(dsn, size=2, role=None)
    assert await rebuild_state(database) == 0
    await database.close()
