"""Queries of the worker: taking deliveries, writing what came of them, and how their endpoints are.

A webhook's row is locked while deliveries are taken for it, so that of an endpoint that fails one instance only takes
one. Every statement is bounded, and there are as many whatever waits.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from kernel.clock import rfc3339
from kernel.database import Connection
from kernel.signals import notify
from modules.notifications.webhooks.delivery import Attempt, Claimed, Settled
from modules.notifications.webhooks.store.webhooks import CHANGED_SIGNAL, ENABLED
from modules.notifications.webhooks.webhook import living

KEPT_ATTEMPTS = 30
"""More than a life has; of replayed deliveries the last ones are kept."""
SICK = 3
"""An endpoint with so many failures in a row is put aside: it gets one request at a time, and pauses in between."""
LONGEST_REST_S = 300.0
REST_LIMIT_S = 12 * 3600.0
"""The most that an endpoint may ask for."""

TAKE_UP = """
UPDATE notification_webhook_deliveries AS d SET state = 'pending', reason = 'worker_lost', claim_id = NULL,
    lease_until = NULL, due_at = $1, updated_at = $1, attempts = {appended}
FROM (
    SELECT id, jsonb_build_object('at', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'duration_ms', 0, 'status', NULL, 'fault', 'worker_lost') AS attempt
    FROM notification_webhook_deliveries WHERE state = 'sending' AND lease_until <= $1 ORDER BY lease_until LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
) AS s WHERE d.id = s.id
RETURNING d.id
"""
APPENDED = f"""
(CASE WHEN jsonb_array_length(d.attempts) >= {KEPT_ATTEMPTS} THEN d.attempts - 0 ELSE d.attempts END)
    || jsonb_build_array(s.attempt)
"""
TAKE_UP = TAKE_UP.format(appended=APPENDED)

CLAIM = f"""
WITH open AS (
    SELECT w.id, w.url, w.secret, w.previous_secret, w.previous_until, w.failures >= {SICK} AS is_probe,
        CASE WHEN w.failures >= {SICK} THEN 1 ELSE $6 - coalesce(h.count, 0) END AS room
    FROM notification_webhooks w LEFT JOIN unnest($4::uuid[], $5::int[]) AS h (id, count) ON h.id = w.id
    WHERE {ENABLED} AND (w.resting_until IS NULL OR w.resting_until <= $1) AND coalesce(h.count, 0) < $6
      AND EXISTS (
        SELECT FROM notification_webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.due_at <= $1
      )
    FOR NO KEY UPDATE OF w SKIP LOCKED
), due AS MATERIALIZED (
    SELECT d.id AS delivery_id, open.* FROM open CROSS JOIN LATERAL (
        SELECT id FROM notification_webhook_deliveries
        WHERE webhook_id = open.id AND state = 'pending' AND due_at <= $1
        ORDER BY due_at, id LIMIT open.room FOR NO KEY UPDATE SKIP LOCKED
    ) AS d
), probing AS (
    UPDATE notification_webhooks AS w SET resting_until = $3 FROM due WHERE w.id = due.id AND due.is_probe
)
UPDATE notification_webhook_deliveries AS d SET state = 'sending', claim_id = $2, lease_until = $3, updated_at = $1
FROM due, notification_webhook_events e
WHERE d.id = due.delivery_id AND e.id = d.event_id
RETURNING d.id, d.claim_id, d.webhook_id, d.event_id, d.failures, d.expires_at, due.url, due.secret,
    due.previous_secret, due.previous_until, due.is_probe, e.payload
"""

SETTLE = f"""
UPDATE notification_webhook_deliveries AS d SET state = s.state, reason = s.reason, failures = s.failures,
    due_at = s.due_at, claim_id = NULL, lease_until = NULL, updated_at = $1, attempts = {APPENDED}
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int[], $7::timestamptz[], $8::jsonb[])
    AS s (id, claim_id, state, reason, failures, due_at, attempt)
WHERE d.id = s.id AND d.claim_id = s.claim_id
"""

LOCK = """
SELECT FROM notification_webhooks WHERE id = ANY($1::uuid[]) OR (id = ANY($2::uuid[]) AND failures > 0)
ORDER BY id FOR NO KEY UPDATE
"""

WELL = """
UPDATE notification_webhooks SET failures = 0, failing_since = NULL, resting_until = NULL
WHERE id = ANY($1::uuid[]) AND failures > 0
"""

ILL = f"""
UPDATE notification_webhooks AS w SET failures = failures + 1, failing_since = coalesce(failing_since, $1),
    resting_until = CASE
        WHEN failures + 1 >= {SICK} OR f.retry_after_s > 0 THEN $1 + interval '1 second' * greatest(
            CASE WHEN failures + 1 >= {SICK}
                THEN least({LONGEST_REST_S}, power(2, least(failures + 1 - {SICK}, 30))) * $2 ELSE 0 END,
            least(f.retry_after_s, {REST_LIMIT_S})
        )
    END,
    disabled_at = CASE WHEN f.is_gone OR coalesce(failing_since, $1) <= $3 THEN $1 END,
    disabled_reason = CASE WHEN f.is_gone THEN 'gone' WHEN coalesce(failing_since, $1) <= $3 THEN 'failing' END
FROM unnest($4::uuid[], $5::float8[], $6::bool[], $7::bool[]) AS f (id, retry_after_s, is_gone, is_probe)
WHERE w.id = f.id AND {ENABLED}
  AND (f.is_gone OR f.is_probe OR w.resting_until IS NULL OR w.resting_until <= $1)
RETURNING w.id, w.disabled_reason
"""

ENQUEUE_EVENTS = """
INSERT INTO notification_webhook_events (id, event_type, occurred_at, payload, created_at)
SELECT id, event_type, occurred_at, payload, $1
FROM unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::bytea[]) AS e (id, event_type, occurred_at, payload)
ON CONFLICT (id) DO NOTHING
"""

ENQUEUE = """
INSERT INTO notification_webhook_deliveries (id, webhook_id, event_id, event_type, state, due_at, expires_at,
    created_at, updated_at)
SELECT id, webhook_id, event_id, event_type, 'pending', $1, $2, $1, $1
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[]) AS d (id, webhook_id, event_id, event_type)
ON CONFLICT (event_id, webhook_id) DO NOTHING
"""


class Heard(NamedTuple):
    """An event to be kept."""

    id: UUID
    event_type: str
    occurred_at: datetime
    payload: bytes


class Wanted(NamedTuple):
    """A delivery to be made."""

    id: UUID
    webhook_id: UUID
    event_id: UUID
    event_type: str


class Failing(NamedTuple):
    """What a failure says of an endpoint."""

    webhook_id: UUID
    retry_after_s: float
    is_gone: bool
    is_probe: bool


async def enqueue(
    connection: Connection,
    events: Sequence[Heard],
    deliveries: Sequence[Wanted],
    *,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Keep events, and a delivery for each webhook that wants one. What is there already stays as it is."""
    await connection.execute(ENQUEUE_EVENTS, now, *map(list, zip(*events, strict=True)))
    await connection.execute(ENQUEUE, now, expires_at, *map(list, zip(*deliveries, strict=True)))


async def take_up(connection: Connection, now: datetime, limit: int) -> int:
    """Free what dead workers held; it is sent again. Returns how many."""
    return len(await connection.fetch(TAKE_UP, now, limit))


async def claim(
    connection: Connection,
    *,
    now: datetime,
    claim_id: UUID,
    lease_until: datetime,
    in_hand: Mapping[UUID, int],
    room: int,
) -> list[Claimed]:
    """Take what is due, so that the caller has at most `room` in hand for each webhook."""
    counts = (list(in_hand.keys()), list(in_hand.values()))
    rows = await connection.fetch(CLAIM, now, claim_id, lease_until, *counts, room)
    return [_claimed(row, now) for row in rows]


async def settle(connection: Connection, done: Sequence[tuple[Claimed, Attempt, Settled]], now: datetime) -> None:
    """Write what came of deliveries; those that the caller no longer holds are left as they are."""
    columns = zip(*(_settling(*one) for one in done), strict=True)
    await connection.execute(SETTLE, now, *map(list, columns))


async def lock(connection: Connection, *, ill: Sequence[UUID], well: Sequence[UUID]) -> None:
    """Lock the rows that are about to change, in an order that all keep to."""
    await connection.execute(LOCK, ill, well)


async def note_well(connection: Connection, webhook_ids: Sequence[UUID]) -> None:
    """These endpoints work."""
    await connection.execute(WELL, webhook_ids)


async def note_ill(
    connection: Connection, failing: Sequence[Failing], *, now: datetime, patient_since: datetime, jitter: float
) -> Mapping[UUID, str]:
    """These endpoints fail. Returns those that are disabled by it, and why; every instance is told.

    Args:
        connection: within a transaction.
        failing: at most one of each.
        now: the moment.
        patient_since: who has only failed since then is disabled.
        jitter: factor for the pauses.
    """
    columns = map(list, zip(*failing, strict=True))
    rows = await connection.fetch(ILL, now, jitter, patient_since, *columns)
    disabled = {row["id"]: row["disabled_reason"] for row in rows if row["disabled_reason"]}
    await notify(connection, CHANGED_SIGNAL, *map(str, disabled))
    return disabled


def _claimed(row: asyncpg.Record, now: datetime) -> Claimed:
    fields = dict(row)
    secret = (fields.pop("secret"), fields.pop("previous_secret"), fields.pop("previous_until"))
    return Claimed(**fields, secrets=living(*secret, now))


def _settling(claimed: Claimed, attempt: Attempt, settled: Settled) -> tuple[object, ...]:
    entry = msgspec.structs.asdict(attempt) | {"at": rfc3339(attempt.at)}
    return claimed.id, claimed.claim_id, settled.state, settled.reason, settled.failures, settled.due_at, entry
