"""The host's webhooks over HTTP.

For API keys only, not for admins: a webhook is sent everybody's events from then on, which no statement of a reason, as
audits ask for, could cover.
"""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from kernel.auth import Principal
from kernel.clock import now
from kernel.cursors import decode_cursor, encode_cursor
from kernel.database import Transaction
from kernel.errors import TooManyRequestsError
from kernel.http.access import key, refuses, who
from kernel.http.idempotency import Idempotency, IdempotencyKey
from kernel.http.parameters import Cursor, Limit
from modules.notifications.webhooks import schemas
from modules.notifications.webhooks.contract import TAG
from modules.notifications.webhooks.delivery import State
from modules.notifications.webhooks.errors import (
    DeliveryUnderWayError,
    TooManyWebhooksError,
    WebhookDisabledError,
)
from modules.notifications.webhooks.schemas import (
    EVENT_PATTERN,
    EventTypes,
    PatchWebhook,
    PostReplay,
    PostRotation,
    PostWebhook,
    Replayed,
    TestOutcome,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookPage,
    WebhookView,
    WebhookWithSecret,
)
from modules.notifications.webhooks.service import Webhooks

TAGS = [TAG]
HOST = who(key("webhooks"))


class Made(msgspec.Struct, frozen=True):
    """What is remembered of a webhook that was made: no secret."""

    webhook_id: UUID


@get(
    "/api/webhooks/event-types",
    opt=HOST,
    operation_id="listEventTypes",
    summary="Events that a webhook may want",
    tags=TAGS,
    sync_to_thread=False,
)
def list_event_types() -> EventTypes:
    """With the schema of what is posted, and an example. New types may be added, and fields to those that there are."""
    return schemas.event_types()


@post(
    "/api/webhooks",
    opt=HOST | refuses(TooManyWebhooksError),
    operation_id="createWebhook",
    summary="Make a webhook",
    tags=TAGS,
)
async def create_webhook(
    request: Request[Principal, Any, Any],
    data: JSONBody[PostWebhook],
    webhooks: NamedDependency[Webhooks],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> WebhookWithSecret:
    """From a second after the answer on, events that match are posted to `url`, signed with `secret`.

    `url` has to lead to the public internet, by https on its own port, unless the operator has listed its origin. At
    most 50 webhooks.
    """
    events = schemas.known(data.events)

    async def make(tx: Transaction) -> Made:
        await webhooks.check(data.url)
        return Made(await webhooks.create(tx, url=data.url, events=events, description=data.description))

    made = await idempotency.once(request, idempotency_key, make, Made)
    return schemas.with_secret(await webhooks.get(made.webhook_id), now())


@get("/api/webhooks", opt=HOST, operation_id="listWebhooks", summary="All webhooks", tags=TAGS)
async def list_webhooks(webhooks: NamedDependency[Webhooks], limit: Limit = 50, cursor: Cursor = None) -> WebhookPage:
    """In the order in which they were made, whichever key made them."""
    after = None if cursor is None else decode_cursor(cursor, UUID)
    found = await webhooks.listing(after=after, limit=limit + 1)
    page = found[:limit]
    moment = now()
    return WebhookPage(
        [schemas.view(webhook, moment) for webhook in page],
        encode_cursor(page[-1].id) if len(found) > limit else None,
    )


@get("/api/webhooks/{webhook_id:uuid}", opt=HOST, operation_id="getWebhook", summary="A webhook", tags=TAGS)
async def get_webhook(webhook_id: FromPath[UUID], webhooks: NamedDependency[Webhooks]) -> WebhookView:
    """Without its secret."""
    return schemas.view(await webhooks.get(webhook_id), now())


@patch("/api/webhooks/{webhook_id:uuid}", opt=HOST, operation_id="changeWebhook", summary="Change a webhook", tags=TAGS)
async def change_webhook(
    webhook_id: FromPath[UUID], data: JSONBody[PatchWebhook], webhooks: NamedDependency[Webhooks]
) -> WebhookView:
    """What is left out stays. While it isn't `enabled`, events aren't kept for it, and what waits isn't sent."""
    return schemas.view(await webhooks.change(webhook_id, data.change()), now())


@delete(
    "/api/webhooks/{webhook_id:uuid}", opt=HOST, operation_id="deleteWebhook", summary="Delete a webhook", tags=TAGS
)
async def delete_webhook(webhook_id: FromPath[UUID], webhooks: NamedDependency[Webhooks]) -> None:
    """With its log. What waits isn't sent; a request that is under way may still arrive."""
    await webhooks.delete(webhook_id)


@post(
    "/api/webhooks/{webhook_id:uuid}/rotate-secret",
    opt=HOST,
    operation_id="rotateWebhookSecret",
    summary="Replace a webhook's secret",
    tags=TAGS,
    status_code=200,
)
async def rotate_secret(
    webhook_id: FromPath[UUID], data: JSONBody[PostRotation], webhooks: NamedDependency[Webhooks]
) -> WebhookWithSecret:
    """Until `grace_s` are over, both sign. There are two at most: the one before these ends at once."""
    return schemas.with_secret(await webhooks.rotate(webhook_id, data.grace_s), now())


@post(
    "/api/webhooks/{webhook_id:uuid}/test",
    opt=HOST | refuses(TooManyRequestsError),
    operation_id="testWebhook",
    summary="Post a test to a webhook, now",
    tags=TAGS,
    status_code=200,
)
async def test_webhook(webhook_id: FromPath[UUID], webhooks: NamedDependency[Webhooks]) -> TestOutcome:
    """Posts `webhook.test` once, also to a webhook that is disabled, and waits up to 20 seconds for the answer."""
    return schemas.result(await webhooks.test(webhook_id))


@get(
    "/api/webhooks/{webhook_id:uuid}/deliveries",
    opt=HOST,
    operation_id="listWebhookDeliveries",
    summary="What was posted to a webhook, or is to be",
    tags=TAGS,
)
async def list_deliveries(
    webhook_id: FromPath[UUID],
    webhooks: NamedDependency[Webhooks],
    delivery_state: Annotated[State | None, QueryParameter(name="state")] = None,
    event_type: Annotated[
        str | None, QueryParameter(min_length=1, max_length=100, pattern=EVENT_PATTERN, description="Only of this type")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> WebhookDeliveryPage:
    """Of the last 30 days, newest first."""
    before = None if cursor is None else decode_cursor(cursor, UUID)
    found = await webhooks.deliveries(
        webhook_id, state=delivery_state, event_type=event_type, before=before, limit=limit + 1
    )
    page = found[:limit]
    return WebhookDeliveryPage(
        [schemas.delivery(one) for one in page], encode_cursor(page[-1].id) if len(found) > limit else None
    )


@post(
    "/api/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay",
    opt=HOST | refuses(DeliveryUnderWayError, WebhookDisabledError),
    operation_id="replayWebhookDelivery",
    summary="Post an event to a webhook again",
    tags=TAGS,
    status_code=200,
)
async def replay_delivery(
    webhook_id: FromPath[UUID], delivery_id: FromPath[UUID], webhooks: NamedDependency[Webhooks]
) -> WebhookDelivery:
    """Under the same `webhook-id`, for another three days if need be."""
    return schemas.delivery(await webhooks.replay(webhook_id, delivery_id))


@post(
    "/api/webhooks/{webhook_id:uuid}/deliveries/replay",
    opt=HOST | refuses(WebhookDisabledError),
    operation_id="replayWebhookDeliveries",
    summary="Post to a webhook again what was given up",
    tags=TAGS,
    status_code=200,
)
async def replay_deliveries(
    webhook_id: FromPath[UUID], data: JSONBody[PostReplay], webhooks: NamedDependency[Webhooks]
) -> Replayed:
    """All that is dead, of events since a moment, the oldest first; up to 1,000 at once."""
    return schemas.replayed(await webhooks.replay_dead(webhook_id, data.since))


HANDLERS: list[HTTPRouteHandler] = [
    list_event_types,
    create_webhook,
    list_webhooks,
    get_webhook,
    change_webhook,
    delete_webhook,
    rotate_secret,
    test_webhook,
    list_deliveries,
    replay_delivery,
    replay_deliveries,
]
