"""Where subscriptions are kept. What is subscribed to another of our keys stays, and is not seen: see `service`."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from kernel import locks
from kernel.database import Connection
from modules.notifications.domain.addresses import Subscription

MAX_PER_PERSON = 20

SAVE = """
INSERT INTO notification_push_subscriptions AS s
    (id, user_id, endpoint, p256dh, auth, vapid_key, expires_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (endpoint) DO UPDATE SET
    id = CASE WHEN s.user_id = $2 THEN s.id ELSE $1 END,
    created_at = CASE WHEN s.user_id = $2 THEN s.created_at ELSE $8 END,
    user_id = $2, p256dh = $4, auth = $5, vapid_key = $6, expires_at = $7, updated_at = $8
RETURNING id, endpoint, expires_at, created_at, updated_at
"""

TRIM = f"""
DELETE FROM notification_push_subscriptions WHERE id IN (
    SELECT id FROM notification_push_subscriptions WHERE id IN (
        SELECT id FROM notification_push_subscriptions WHERE user_id = $1
        ORDER BY updated_at DESC, id DESC OFFSET {MAX_PER_PERSON})
    FOR UPDATE SKIP LOCKED)
"""
"""What somebody else is taking over right now is passed over: waiting for them could end in a deadlock."""

LISTING = """
SELECT id, endpoint, expires_at, created_at, updated_at FROM notification_push_subscriptions
WHERE user_id = $1 AND vapid_key = $2 AND (expires_at IS NULL OR expires_at > $3)
ORDER BY updated_at DESC, id DESC
"""

USABLE = """
SELECT user_id, id, endpoint, p256dh, auth FROM notification_push_subscriptions
WHERE user_id = ANY($1) AND vapid_key = $2 AND (expires_at IS NULL OR expires_at > $3)
ORDER BY user_id, updated_at DESC, id DESC
"""

REMOVE = "DELETE FROM notification_push_subscriptions WHERE user_id = $1 AND id = $2"
DISCARD = "DELETE FROM notification_push_subscriptions WHERE id = ANY($1)"
FORGET = "DELETE FROM notification_push_subscriptions WHERE user_id = ANY($1)"


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser says of its subscription; the keys are base64url without padding."""

    endpoint: str
    p256dh: str
    auth: str
    expires_at: datetime | None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as its owner sees it."""

    id: UUID
    endpoint: str
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def save(
    connection: Connection, subscription_id: UUID, user_id: str, browser: Browser, vapid_key: str, now: datetime
) -> Kept:
    """Keep a subscription, in the place of any other of the same endpoint; the person's oldest beyond the limit go.

    What was the same person's keeps its id; what was another's becomes theirs under `subscription_id`.
    """
    await locks.lock(connection, [("push subscriptions", user_id)])  # or two at once could both be the twentieth
    place = (browser.endpoint, browser.p256dh, browser.auth, vapid_key, browser.expires_at)
    row = await connection.fetchrow(SAVE, subscription_id, user_id, *place, now)
    await connection.execute(TRIM, user_id)
    return Kept(**dict(row or {}))


async def listing(connection: Connection, user_id: str, vapid_key: str, now: datetime) -> list[Kept]:
    """Return a person's, the last registered first."""
    return [Kept(**dict(row)) for row in await connection.fetch(LISTING, user_id, vapid_key, now)]


async def usable(
    connection: Connection, user_ids: Collection[str], vapid_key: str, now: datetime
) -> Mapping[str, tuple[Subscription, ...]]:
    """Return whom messages can be sent to, and how; people without a subscription are absent."""
    found: dict[str, tuple[Subscription, ...]] = {}
    for row in await connection.fetch(USABLE, list(user_ids), vapid_key, now):
        one = Subscription(id=row["id"], endpoint=row["endpoint"], p256dh=row["p256dh"], auth=row["auth"])
        found[row["user_id"]] = (*found.get(row["user_id"], ()), one)
    return found


async def remove(connection: Connection, user_id: str, subscription_id: UUID) -> bool:
    """Remove one; False when it isn't theirs."""
    return await connection.execute(REMOVE, user_id, subscription_id) == "DELETE 1"


async def discard(connection: Connection, ids: Collection[UUID]) -> None:
    """Remove those that no longer exist for their push service."""
    await connection.execute(DISCARD, list(ids))


async def forget(connection: Connection, user_ids: Collection[str]) -> None:
    """Remove all of these people's, whatever key they were for."""
    await connection.execute(FORGET, list(user_ids))
