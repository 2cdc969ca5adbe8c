"""What operators watch of notifications, beside `parley_deliveries_total`."""

from prometheus_client import Counter, Gauge

SMS_SEGMENTS = Counter("parley_sms_segments_total", "Segments of the SMS that the provider accepted")
SMS_CAPPED = Counter(
    "parley_sms_capped_total",
    "SMS that were put off because a cap on segments in 24 hours was reached",
    ["cap"],
)
TRANSPORT_PAUSES = Counter(
    "parley_transport_pauses_total",
    "Times that a transport was held back: for a fault of configuration, or because the provider fails",
    ["transport", "cause"],
)
TRANSPORT_HELD = Gauge("parley_transport_held", "1 while a transport is held back", ["transport"])
LEDGER_TRIMMED = Counter("parley_deliveries_removed_total", "Deliveries removed from the ledger for their age")
WEBHOOK_ATTEMPTS = Counter(
    "parley_webhook_attempts_total", "Requests to the host's webhooks, by what came of them", ["outcome"]
)
WEBHOOKS_DISABLED = Counter(
    "parley_webhooks_disabled_total", "Webhooks that were disabled because they failed or were gone", ["reason"]
)
