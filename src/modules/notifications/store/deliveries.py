"""The ledger, which is also the queue.

Rows are locked with NO KEY UPDATE: the next row of the same person and thread refers to them, and must not wait.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from kernel.database import Connection
from modules.notifications.domain.delivery import Delivery

COLUMNS = """
id, user_id, transport, category, thread_id, from_seq, to_seq, message_count, state, reason, provider_id, attempts,
failures, lost_attempt, due_at, claim_id, lease_until, created_at, updated_at
"""

ADD = f"""
INSERT INTO notification_deliveries ({COLUMNS})
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[], $8::int[],
    $9::text[], $10::text[], $11::text[], $12::int[], $13::int[], $14::int[], $15::timestamptz[], $16::uuid[],
    $17::timestamptz[], $18::timestamptz[], $19::timestamptz[])
"""

CHANGING = (
    *("id", "message_count", "state", "reason", "provider_id", "attempts"),
    *("failures", "lost_attempt", "due_at", "claim_id", "lease_until"),
)

SAVE = """
UPDATE notification_deliveries SET message_count = $2, state = $3, reason = $4, provider_id = $5, attempts = $6,
    failures = $7, lost_attempt = $8, due_at = $9, claim_id = $10, lease_until = $11, updated_at = $12
WHERE id = $1
"""

TAKE_WAITING = f"""
SELECT d.* FROM unnest($2::text[], $3::int[]) AS wanted (transport, hands) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM notification_deliveries AS waiting
    WHERE waiting.state = 'pending' AND waiting.transport = wanted.transport AND waiting.due_at <= $1
    ORDER BY waiting.due_at, waiting.id LIMIT wanted.hands FOR NO KEY UPDATE SKIP LOCKED
) AS d
"""

TAKE_ABANDONED = f"""
SELECT {COLUMNS} FROM notification_deliveries WHERE lease_until <= $1 ORDER BY lease_until LIMIT $2
FOR NO KEY UPDATE SKIP LOCKED
"""

LOCK = f"SELECT {COLUMNS} FROM notification_deliveries WHERE id = $1 FOR NO KEY UPDATE"

LIST = f"""
SELECT {COLUMNS} FROM notification_deliveries
WHERE ($1::text IS NULL OR user_id = $1) AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4
"""

LAST_OF = f"""
SELECT {COLUMNS} FROM notification_deliveries WHERE user_id = $1 AND thread_id = $2 AND transport = $3
ORDER BY to_seq DESC LIMIT $4
"""

BRING_FORWARD = """
UPDATE notification_deliveries AS d SET due_at = $2
FROM (SELECT id FROM notification_deliveries
      WHERE user_id = ANY($1) AND state = 'pending' AND due_at > $2 AND split_part(reason, ',', 1) = ANY($3)
      ORDER BY id FOR NO KEY UPDATE) AS theirs
WHERE d.id = theirs.id
"""


async def add(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Insert rows. The database refuses one whose range overlaps another of the person and thread."""
    columns = zip(*(msgspec.structs.astuple(delivery) for delivery in deliveries), strict=True)
    await connection.execute(ADD, *map(list, columns))


async def save(connection: Connection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write what may change of them. The caller holds their locks."""
    await connection.executemany(
        SAVE,
        [(*(getattr(delivery, column) for column in CHANGING), now) for delivery in deliveries],
    )


async def take_waiting(connection: Connection, now: datetime, hands: Mapping[str, int]) -> list[Delivery]:
    """Lock pending deliveries that are due: of each transport, as many as there are hands for."""
    wanted = {transport: count for transport, count in hands.items() if count > 0}
    found = await connection.fetch(TAKE_WAITING, now, list(wanted), list(wanted.values())) if wanted else []
    return [_delivery(row) for row in found]


async def take_abandoned(connection: Connection, now: datetime, limit: int) -> list[Delivery]:
    """Lock deliveries whose worker's lease has run out."""
    return [_delivery(row) for row in await connection.fetch(TAKE_ABANDONED, now, limit)]


async def lock(connection: Connection, delivery_id: UUID) -> Delivery | None:
    """Lock one delivery until the end of the transaction; None if there is none of this id."""
    row = await connection.fetchrow(LOCK, delivery_id)
    return None if row is None else _delivery(row)


async def listing(
    connection: Connection, *, user_id: str | None, state: str | None, before: UUID | None, limit: int
) -> list[Delivery]:
    """Return deliveries, newest first, older than `before`."""
    return [_delivery(row) for row in await connection.fetch(LIST, user_id, state, before, limit)]


async def last_of(connection: Connection, user_id: str, thread_id: UUID, transport: str, limit: int) -> list[Delivery]:
    """Return the newest deliveries to a person about a thread by a transport, newest first."""
    return [_delivery(row) for row in await connection.fetch(LAST_OF, user_id, thread_id, transport, limit)]


async def bring_forward(
    connection: Connection, user_ids: Sequence[str], reasons: Collection[str], now: datetime
) -> None:
    """Let what was put off for one of these reasons be decided on now. The wait after a refusal stays as it is."""
    await connection.execute(BRING_FORWARD, list(user_ids), now, list(reasons))


def _delivery(row: "asyncpg.Record") -> Delivery:
    return Delivery(**dict(row))
