"""What the webhooks answer when they can't do as asked."""

from kernel.errors import ConflictError


class TooManyWebhooksError(ConflictError):
    """There are as many webhooks as there may be; the detail names the limit."""

    slug, title = "too-many-webhooks", "Too many webhooks"


class DeliveryUnderWayError(ConflictError):
    """A delivery that is still tried isn't replayed: `next_attempt_at` says when it is tried again."""

    slug, title = "delivery-under-way", "Delivery under way"


class WebhookDisabledError(ConflictError):
    """Nothing is sent to a webhook that is disabled. Enable it, then try again."""

    slug, title = "webhook-disabled", "Webhook disabled"
