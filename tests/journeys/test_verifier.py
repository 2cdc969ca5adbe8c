"""The recipe in docs/architecture.md checks a real log without any code of ours; both it and we notice tampering."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from modules.messaging.log import verify
from modules.messaging.log.record import Record
from tests.support.servers import Host, Server

PAGE = Path(__file__).parents[2] / "docs/architecture.md"

Row = dict[str, Any]
Check = Callable[[str, list[Row]], int | None]


def block(language: str) -> str:
    """The page's only block in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


def ours(genesis: str, rows: list[Row]) -> int | None:
    """Parley's own checker."""
    return verify.first_bad_seq(genesis, [_record(row) for row in rows])


@pytest.fixture(scope="module", params=["printed", "ours"])
def first_bad_seq(request: pytest.FixtureRequest) -> Check:
    """The checker as printed, and Parley's own."""
    if request.param == "ours":
        return ours
    namespace: dict[str, Any] = {}
    exec(block("python"), namespace)
    check: Check = namespace["first_bad_seq"]
    return check


@pytest.fixture(scope="module")
async def log(server: Server, host: Host) -> tuple[str, list[Row]]:
    """A genesis and the records of a channel that has seen everything: quotes, emoji, people who come and go."""
    ana, ben = host.user("ana", display_name="Ana \u201cÄ\u201d \U0001f600"), host.user("ben")
    host.user("cleo")
    host.context("verified", {"ana": "worker", "ben": "supervisor"})
    for client_id, token, content in [
        ("1", ana, "plain"),
        ("2", ben, 'quotes " \\ / and lines\n\ttabs \x7f \u2028 \U0001f600'),
        ("3", ana, "x" * 5000),
    ]:
        body = {"client_id": client_id, "content": content}
        with host.person(token) as person:
            person.post("/api/contexts/booking/verified/messages", json=body).raise_for_status()
    host.context("verified", {"ana": "lender_admin", "cleo": "worker"}, title="Changed")
    host.context("verified", {"ana": "lender_admin", "cleo": "worker"}, status="closed")
    channel = host.context("verified", {"ana": "lender_admin", "cleo": "worker"}, status="open")["channel"]["id"]
    connection = await asyncpg.connect(server.environment["DATABASE_URL"])
    try:
        genesis = await connection.fetchval("SELECT genesis FROM chat_channels WHERE id = $1", channel)
        rows = await connection.fetch(block("sql").replace(":'channel'", "$1"), channel)
    finally:
        await connection.close()
    return genesis, [json.loads(row[0]) for row in rows]


async def test_a_whole_log_is_found_whole(log: tuple[str, list[Row]], first_bad_seq: Check) -> None:
    genesis, records = log
    kinds = [record["kind"] for record in records]
    assert kinds == [
        *["text"] * 3,
        "participant_left",
        "participant_role_changed",
        "participant_joined",
        "channel_archived",
        "channel_reopened",
    ]
    assert first_bad_seq(genesis, records) is None


async def test_every_tampering_is_noticed(log: tuple[str, list[Row]], first_bad_seq: Check) -> None:
    genesis, records = log
    for index, record in enumerate(records):
        for name in record:
            changed = [*records[:index], record | {name: _other(name, record[name])}, *records[index + 1 :]]
            assert first_bad_seq(genesis, changed) == index + 1, (record["kind"], name)
    for index in range(len(records) - 1):
        assert first_bad_seq(genesis, records[:index] + records[index + 1 :]) == index + 1
        swapped = [*records[:index], records[index + 1], records[index], *records[index + 2 :]]
        assert first_bad_seq(genesis, swapped) == index + 1
    assert first_bad_seq(genesis.replace("worker", "lender_admin"), records) == 1


def _record(row: Row) -> Record:
    typed = {
        "channel_id": UUID(row["channel_id"]),
        "id": UUID(row["id"]),
        "salt": None if row["salt"] is None else bytes.fromhex(row["salt"]),
        "commitment": None if row["commitment"] is None else bytes.fromhex(row["commitment"]),
        "hash": bytes.fromhex(row["hash"]),
        "created_at": datetime.fromisoformat(row["created_at"]),
    }
    return Record(**(row | typed))


def _other(name: str, value: Any) -> Any:
    if name in {"salt", "commitment"}:
        return "00" * 16
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return value | {"user_id": "mallory"}
    return ("1" if value and value[0] == "0" else "0") + (value or "")[1:]
