"""Push subscriptions over HTTP."""

from uuid import UUID

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from kernel.auth import Principal
from kernel.http.access import USER, refuses, who
from modules.notifications.errors import PushNotSetUpError
from modules.notifications.push.schemas import (
    PushSubscriptionIn,
    PushSubscriptionOut,
    PushSubscriptionPage,
    VapidKey,
    subscription_out,
)
from modules.notifications.push.service import PushRegistry

TAGS = ["Notifications"]


@get(
    "/api/notifications/vapid-key",
    opt=who(USER) | refuses(PushNotSetUpError),
    operation_id="getVapidKey",
    summary="The key that your browser subscribes to",
    tags=TAGS,
)
async def get_vapid_key(push: NamedDependency[PushRegistry]) -> VapidKey:
    """A browser that is subscribed to another key has to subscribe anew: nothing reaches it any more."""
    return VapidKey(push.key())


@get(
    "/api/notifications/push-subscriptions",
    opt=who(USER),
    operation_id="listPushSubscriptions",
    summary="The browsers in which you are told",
    tags=TAGS,
)
async def list_push_subscriptions(
    caller: NamedDependency[Principal], push: NamedDependency[PushRegistry]
) -> PushSubscriptionPage:
    return PushSubscriptionPage([subscription_out(kept) for kept in await push.subscriptions(caller.id)], None)


@post(
    "/api/notifications/push-subscriptions",
    opt=who(USER) | refuses(PushNotSetUpError),
    operation_id="createPushSubscription",
    summary="Be told in this browser",
    tags=TAGS,
)
async def create_push_subscription(
    caller: NamedDependency[Principal], data: JSONBody[PushSubscriptionIn], push: NamedDependency[PushRegistry]
) -> Response[PushSubscriptionOut]:
    """Send what `PushSubscription.toJSON()` gives, whenever your page starts: the endpoint is the key, so that again
    is the same (200), with the keys of now. A browser belongs to whoever registered it last. Of more than 20, those
    that were registered longest ago go. Only known push services are taken.
    """
    kept, new = await push.subscribe(caller.id, data.browser())
    return Response(subscription_out(kept), status_code=201 if new else 200)


@delete(
    "/api/notifications/push-subscriptions/{subscription_id:uuid}",
    opt=who(USER),
    operation_id="deletePushSubscription",
    summary="Be told in this browser no more",
    tags=TAGS,
)
async def delete_push_subscription(
    subscription_id: FromPath[UUID], caller: NamedDependency[Principal], push: NamedDependency[PushRegistry]
) -> None:
    await push.unsubscribe(caller.id, subscription_id)


HANDLERS = [get_vapid_key, list_push_subscriptions, create_push_subscription, delete_push_subscription]
