"""What is published about the posts to the host."""

from typing import Any

from bus import Event, event_name
from kernel.http.posts import Posts
from modules.notifications.webhooks.catalogue import PUBLISHED, WebhookTest, payload_type

TAG = "Host Webhooks"
EXAMPLE_ID = "019c1355-8e20-7b3d-9d6c-4f1e0a7c2b10_019c1340-7f02-7d19-a7c6-52b90e1f8d34"


def _header(name: str, description: str, example: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": schema,
        "example": example,
    }


POSTED: tuple[type[Event], ...] = (*PUBLISHED, WebhookTest)
POSTS = Posts(
    tag=TAG,
    headers=(
        _header("webhook-id", "The same whenever this event is posted to this webhook: handle it once", EXAMPLE_ID),
        _header("webhook-timestamp", "When this request was made, in Unix seconds", "1769850900"),
        _header(
            "webhook-signature",
            "`v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`; one for each living "
            "secret, separated by spaces",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    ),
    answers={
        "2XX": {"description": "Taken"},
        "410": {"description": "Nothing more is wanted: the webhook is disabled"},
        "429": {"description": "Later; `Retry-After` is heeded"},
        "default": {"description": "Not taken: it is posted again, for three days"},
    },
    bodies=tuple((event_name(kind), payload_type(kind)) for kind in POSTED),
)
