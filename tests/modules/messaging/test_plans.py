"""Look-ups cost what they find, not what the table holds, also before its first ANALYZE."""

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from modules.messaging.store import counts, marks, members
from modules.messaging.writer import queries

FILL = """
ALTER TABLE chat_participants SET (autovacuum_enabled = off);
ALTER TABLE chat_channels SET (autovacuum_enabled = off);
INSERT INTO chat_channels (id, kind, genesis, head_hash, last_record_at, created_at)
SELECT md5(i::text)::uuid, 'group', '{}', '', now(), now() FROM generate_series(1, 4000) i;
INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
SELECT md5(i::text)::uuid, 'user-' || j, 'member', now() FROM generate_series(1, 4000) i, generate_series(1, 5) j
"""
CHANNELS = "SELECT array_agg(md5(i::text)::uuid) FROM generate_series(1, 10) i"
PEOPLE = """
INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
SELECT md5(i::text)::uuid, 'someone-' || i * 5 + j, 'member', now()
FROM generate_series(1, 4000) i, generate_series(1, 5) j
"""
FEW = 100
"""Rows: twice the participants of ten channels."""


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    "statement",
    [queries.MEMBERS, members.MEMBERS_OF, members.LEAVERS, counts.MEMBERS, marks.MOVED_SINCE.replace("$2", "'1'")],
)
async def test_participants_are_looked_up(dsn: str, statement: str, mode: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    try:
        await connection.execute(FILL)
        channels = await connection.fetchval(CHANNELS)
        explained = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, channels)
    finally:
        await connection.close()
    assert max(read_by(json.loads(explained)[0]["Plan"])) <= FEW


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_so_are_the_channels_of_those_whose_counts_are_asked_for(dsn: str, mode: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    try:
        await connection.execute(FILL.replace("'user-' || j", "'nobody-' || i * 5 + j"))
        await connection.execute(PEOPLE)
        people, channels = [f"someone-{n}" for n in range(6, 16)], await connection.fetchval(CHANNELS)
        since = await connection.fetchval("SELECT now()")
        for statement, arguments in ((counts.COUNTS, (people, channels)), (counts.CHANGED, (people, since))):
            explain = "EXPLAIN (ANALYZE, FORMAT JSON) " + statement
            explained = await connection.fetchval(explain, *arguments)
            assert max(read_by(json.loads(explained)[0]["Plan"])) <= FEW
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_who_shares_a_channel_is_looked_up(dsn: str, mode: str) -> None:
    """Of somebody who is in as many channels as the table has, each is looked at once at most."""
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    try:
        await connection.execute(FILL)
        await connection.execute(
            "UPDATE chat_participants SET user_id = user_id || channel_id WHERE user_id <> 'user-1'"
        )
        pairs = ["user-1"] * 5, [f"stranger-{n}" for n in range(5)]
        explained = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + members.ACQUAINTED, *pairs)
    finally:
        await connection.close()
    assert max(read_by(json.loads(explained)[0]["Plan"])) <= 5 * 4000


def read_by(plan: dict[str, Any]) -> Iterator[float]:
    """Yield how many rows each node of a plan read."""
    yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for part in plan.get("Plans", ()):
        yield from read_by(part)
