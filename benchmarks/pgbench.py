"""The baseline of the writer: what PostgreSQL itself can do, a transaction a message.

pgbench's best way to do a message's work in one transaction: a single data-modifying CTE, prepared, that
moves the channel's seq on, inserts the message and stages its event, on Parley's own tables with their
indexes and triggers. It has less to do than the writer: no hash chain, no check of membership or repeats, no
answer to anybody.
"""

import asyncio
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ALL_CORES, own_cores
from benchmarks.postgres import Postgres
from benchmarks.shape import CONTENT, EVENT_TYPE

CLIENTS = (1, 4, 8, 16, 32, 64)

SCRIPT = """
\\set n random(1, {channels})
WITH head AS (
    UPDATE chat_channels SET last_seq = last_seq + 1, last_record_at = now(), last_message_at = now()
    WHERE id = {channel} RETURNING id, last_seq, head_hash
), message AS (
    INSERT INTO chat_messages (channel_id, seq, id, kind, sender_id, sender_username, sender_display_name,
        client_id, content, salt, created_at, hash)
    SELECT id, last_seq, uuidv7(), 'text', 'writer-1', 'writer-1', 'Writer 1', gen_random_uuid()::text,
    '{content}',
        head_hash, now(), head_hash
    FROM head
)
INSERT INTO bus_outbox (id, consumer, event_type, payload, staged_at, available_at)
SELECT uuidv7(), 'benchmark', '{event_type}', '{payload}'::bytea, now(), now() FROM head;
"""

TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """A run of pgbench."""

    clients: int
    per_s: float


async def run(postgres: Postgres, *, channels: int, clients: int, seconds: int) -> Run:
    """Write messages for `seconds` from `clients` connections, spread over the first `channels` channels.

    Raises:
        RuntimeError: pgbench failed, or any of its transactions did.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_script(channels))
        script.flush()
        output = await _pgbench(postgres, Path(script.name), clients, seconds)
    tps, failed = TPS.search(output), FAILED.search(output)
    if tps is None or failed is None or int(failed[1]):
        raise RuntimeError(f"pgbench failed:\n{output}")
    return Run(clients, float(tps[1]))


async def best_clients(postgres: Postgres, *, channels: int, seconds: int) -> list[Run]:
    """Try every count of clients once; returns the runs, the fastest first."""
    runs = [await run(postgres, channels=channels, clients=clients, seconds=seconds) for clients in CLIENTS]
    return sorted(runs, key=lambda one: one.per_s, reverse=True)


def _script(channels: int) -> str:
    from_number = "('00000000-0000-7000-8000-' || lpad(to_hex(:n::int), 12, '0'))::uuid"
    return SCRIPT.format(
        channels=channels,
        channel=from_number,
        content=CONTENT,
        event_type=EVENT_TYPE,
        payload='{"x":"' + "x" * 300 + '"}',
    )


async def _pgbench(postgres: Postgres, script: Path, clients: int, seconds: int) -> str:
    with own_cores(ALL_CORES):
        process = await asyncio.create_subprocess_exec(
            postgres.binaries / "pgbench",
            *("--no-vacuum", "--protocol=prepared", f"--file={script}"),
            *(f"--client={clients}", f"--jobs={min(2, clients)}", f"--time={seconds}"),
            postgres.dsn,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    output, _ = await process.communicate()
    return output.decode()
