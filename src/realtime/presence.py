"""Who is looking. An open socket is not a person: what counts is the last sign of life on each device."""

import time
from collections.abc import Collection, Mapping

from realtime.attention import Attention
from realtime.hub import Hub


class LocalPresence:
    """Presence as this process sees it."""

    def __init__(self, hub: Hub, away_after_s: float) -> None:
        self._hub = hub
        self._away_after_s = away_after_s

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """Return the attention of each person: online, active within the away time, and what active devices show."""
        return {user: self._attention(user) for user in user_ids}

    def _attention(self, user_id: str) -> Attention:
        devices = [c for c in self._hub.connections_of(user_id) if not c.closed]
        since = time.monotonic() - self._away_after_s
        active = [c for c in devices if c.active_at > since]
        shown = frozenset(c.on_screen for c in active if c.on_screen is not None)
        return Attention(online=bool(devices), active=bool(active), on_screen=shown)
