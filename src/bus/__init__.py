"""Events: live dispatch within the process, durable consumers over a transactional outbox. Knows no module."""

from bus.bus import Bus
from bus.events import Event, event_name

__all__ = ["Bus", "Event", "event_name"]
