"""What operators watch of notifications, beside `parley_deliveries_total`."""

from prometheus_client import Counter

SMS_SEGMENTS = Counter("parley_sms_segments_total", "Segments of the SMS that the provider accepted")
TRANSPORT_PAUSES = Counter(
    "parley_transport_pauses_total",
    "Times that a transport was held back for a fault of configuration",
    ["transport"],
)
WEBHOOK_ATTEMPTS = Counter(
    "parley_webhook_attempts_total", "Requests to the host's webhooks, by what came of them", ["outcome"]
)
WEBHOOKS_DISABLED = Counter(
    "parley_webhooks_disabled_total", "Webhooks that were disabled because they failed or were gone", ["reason"]
)
