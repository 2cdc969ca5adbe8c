"""How a client behaves, where the defaults don't suit."""

import msgspec

from parley_client.backoff import Backoff


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and times.

    Args:
        window: how many requests may be unanswered before the next one waits.
        backlog: how many records may wait for the application.
        backoff: how long to wait before trying again.
        heartbeat_s: how often to see whether the server is there, and how long it may take to answer.
    """

    window: int = 256
    backlog: int = 1_000
    backoff: Backoff = Backoff()
    heartbeat_s: float = 20.0
