"""What becomes of people's alerts, shown as it is decided."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from demo import screen
from demo.cast import BY_ID, wakes
from demo.stage import Stage
from kernel.clock import now
from modules.notifications.events import DeliveryChanged

PATIENCE_S = 15
POLL_S = 0.2
THERE = {"on_screen", "online_active"}
"""Why somebody isn't sent anything for now: they may see it by themselves. It is asked again within a minute."""

WHY_NOT = {
    "read": "read already",
    "on_screen": "the conversation is on the screen",
    "online_active": "online and active",
    "no_address": "no telephone number",
    "not_participant": "takes part no more",
    "muted": "muted the conversation",
    "preferences": "wants no SMS",
    "paused": "paused notifications",
    "opted_out": "answered STOP",
    "deactivated": "deactivated",
}
UNSETTLED = {"pending", "claimed", "sending"}


class Alerts:
    """Listens to the bus from now on, live, as any part of the server can."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._settled: dict[tuple[str, str], int] = {}
        self._shown: dict[tuple[str, str], int] = {}
        self._first: dict[str, int] = {}
        stage.parley.bus.on(DeliveryChanged, self._changed)

    def said(self, channel_id: str, seq: int) -> None:
        """Take note of a message: of what an earlier demo left behind, only SMS are shown."""
        self._first.setdefault(channel_id, seq)

    def _changed(self, event: DeliveryChanged) -> None:
        """Called in the server's thread, right after the commit of the change."""
        name = BY_ID[event.user_id].name if event.user_id in BY_ID else event.user_id
        key, seq = (event.user_id, str(event.channel_id)), event.to_seq or 0
        if event.state == "suppressed":
            if seq <= self._shown.get(key, 0) or seq < self._first.get(key[1], seq + 1):
                return
            screen.verdict(name, "no SMS", WHY_NOT.get(event.reason or "", event.reason or ""), colour="green")
        elif event.state == "sending":
            waiting = "1 message waits" if event.message_count == 1 else f"{event.message_count} messages wait"
            screen.verdict(name, "SMS", f"{waiting}, unread, and nobody is there", colour="yellow")
        elif event.state not in {"pending", "accepted", "delivered"}:
            screen.verdict(name, event.state, event.reason or "", colour="red")
        if event.state not in UNSETTLED:
            self._settled[key] = max(seq, self._settled.get(key, 0))

    async def conclude(self, channel_id: str, expected: Mapping[str, int]) -> None:
        """Wait until everybody's alert is settled or put off. `expected`: user id → up to which seq."""
        waiting, deadline = dict(expected), time.monotonic() + PATIENCE_S
        while waiting and time.monotonic() < deadline:
            for user_id, seq in expected.items():
                if user_id in waiting and await self._concluded(user_id, channel_id, seq):
                    del waiting[user_id]
            await asyncio.sleep(POLL_S)
        for user_id in waiting:
            screen.verdict(BY_ID[user_id].name, "?", f"undecided after {PATIENCE_S} s", colour="red")

    async def _concluded(self, user_id: str, channel_id: str, seq: int) -> bool:
        if self._settled.get((user_id, channel_id), 0) >= seq:
            return True
        service = self._stage.parley.notifications.service
        held = [
            alert
            for alert in await self._stage.ask(service.open_alerts(user_id))
            if alert.span.channel_id == UUID(channel_id) and alert.held_by in THERE | {"quiet_hours"}
        ]
        if not held:
            return False
        why = held[0].held_by or ""
        self._shown[user_id, channel_id] = seq
        if why in THERE:
            screen.verdict(BY_ID[user_id].name, "no SMS", WHY_NOT[why], colour="green")
            return True
        self._asleep(user_id, held[0].due_at)
        return True

    def _asleep(self, user_id: str, due_at: datetime) -> None:
        zone = wakes(due_at)
        city = zone.rpartition("/")[2].replace("_", " ")
        there, until = (moment.astimezone(ZoneInfo(zone)) for moment in (now(), due_at))
        why = f"until {until:%H:%M} in {city}, where it is {there:%H:%M}: quiet hours"
        screen.verdict(BY_ID[user_id].name, "put off", why, colour="magenta")
