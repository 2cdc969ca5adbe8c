"""What is asked about two people costs the same, whatever there is of others: in pairs, and in what waits."""

import json
from typing import Any

import asyncpg
import pytest

from modules.contacts.store import book, facts
from tests.modules.messaging.test_plans import read_by

FILL = """
INSERT INTO contact_pairs SELECT 'user-' || i, 'zoe-' || i FROM generate_series(1, 6000) i;
INSERT INTO contact_pairs SELECT 'ana', 'cem-' || i FROM generate_series(1, 20) i;
INSERT INTO contact_invites (id, kind, invitor_id, invitee_id, channel_id, channel_role, created_at, expires_at)
SELECT gen_random_uuid(), CASE i % 2 WHEN 0 THEN 'contact' ELSE 'channel' END, 'user-' || i, 'zoe-' || i,
    CASE i % 2 WHEN 1 THEN md5(i::text)::uuid END, CASE i % 2 WHEN 1 THEN 'member' END, now(), now() + interval '1 day'
FROM generate_series(1, 6000) i;
ANALYZE contact_pairs; ANALYZE contact_invites
"""
ASKED = 20
OTHERS = [f"cem-{number}" for number in range(ASKED)]
PLACE = "0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01"
QUESTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "contacts": (book.AMONG, ("ana", OTHERS)),
    "what waits": (facts.PENDING, (["ana"] * ASKED, OTHERS, OTHERS, [PLACE] * ASKED)),
}


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_what_is_asked_of_two_is_looked_up(dsn: str, mode: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    try:
        await connection.execute(FILL)
        for question, (statement, arguments) in QUESTIONS.items():
            explained = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, *arguments)
            assert max(read_by(json.loads(explained)[0]["Plan"])) <= 2 * ASKED, question
    finally:
        await connection.close()
