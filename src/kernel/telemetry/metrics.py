"""Prometheus metrics. Labels are bounded: route templates, never paths; no user, channel or message ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess, values

HTTP_DURATION = Histogram(
    "parley_http_request_seconds",
    "Time to answer a request",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
SOCKETS = Gauge("parley_sockets", "Open, authenticated sockets", ["endpoint"], multiprocess_mode="livesum")
SOCKET_CLOSES = Counter("parley_socket_closes_total", "Sockets closed by the server", ["code"])
FRAMES_SENT = Counter("parley_frames_sent_total", "Frames handed to sockets")
MESSAGES = Counter("parley_messages_total", "Records appended to channel logs", ["kind"])
WRITER_BATCH = Histogram(
    "parley_writer_batch_messages", "Messages committed together", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
WRITER_COMMIT = Histogram(
    "parley_writer_commit_seconds",
    "Time from taking a batch to its commit",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1),
)
DELIVERIES = Counter("parley_deliveries_total", "Changes of state of deliveries", ["transport", "state"])
OUTBOX_AGE = Gauge(
    "parley_outbox_age_seconds", "How overdue the oldest waiting event is", multiprocess_mode="livemostrecent"
)


def exposition() -> bytes:
    """Return what Prometheus reads: the figures of this process, or of all workers where there are several."""
    if values.ValueClass is values.MutexValue:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # its authors gave it no types
    return generate_latest(registry)


BACKPLANE_CONNECTED = Gauge(
    "parley_backplane_connected", "1 while the other instances can be told, by Redis", multiprocess_mode="livemin"
)
BACKPLANE_MESSAGES = Counter("parley_backplane_messages_total", "Messages between instances", ["way"])
