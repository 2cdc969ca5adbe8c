"""What operators watch of notifications, beside `parley_deliveries_total`."""

from prometheus_client import Counter

SMS_SEGMENTS = Counter("parley_sms_segments_total", "Segments of the SMS that the provider accepted")
TRANSPORT_PAUSES = Counter(
    "parley_transport_pauses_total",
    "Times that a transport was held back for a fault of configuration",
    ["transport"],
)
