"""Plays a scene over real sockets and shows what reaches whom."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from demo import screen
from demo.alerts import Alerts
from demo.cast import ANA, BEA, Line, Person, Scene
from demo.device import Device, device
from demo.host import Host, RefusedError
from demo.stage import SMS_DELAY_S

PACE_S = 0.3


class Play:
    """One scene: everybody comes, talks, and hears what became of their alerts; then all sockets are closed."""

    def __init__(self, host: Host, ws_url: str, alerts: Alerts) -> None:
        self._host = host
        self._ws_url = ws_url
        self._alerts = alerts

    async def perform(self, scene: Scene) -> str:
        """Play it; returns the channel's id."""
        screen.heading(f"The {scene.context_type} {scene.context_id}: {scene.title}")
        for person, role in scene.roles:
            screen.person(person, role, person.whereabouts)
        screen.heading("What is said")
        async with AsyncExitStack() as sockets:
            devices = [await sockets.enter_async_context(self._device(*who)) for who in scene.devices]
            said = [await self._say(scene, line, devices) for line in scene.lines]
            channel_id, last = said[-1]
            if scene.refused is not None:
                await self._try(scene, scene.refused, devices)
            if scene.looks_in is not None:
                await self._look_in(scene.looks_in, channel_id, last)
            screen.heading(f"Who gets an SMS, {SMS_DELAY_S} s after the first message (120 s unless set otherwise)")
            await self._alerts.conclude(channel_id, _expected(scene, [seq for _, seq in said]))
        return channel_id

    def _device(self, owner: Person, label: str) -> Any:
        return device(self._ws_url, self._host.tokens[owner.user_id], owner, label)

    async def _say(self, scene: Scene, line: Line, devices: Sequence[Device]) -> tuple[str, int]:
        speaker = _device_of(line, devices)
        frame, acknowledged_ms = await speaker.write(scene, line.text)
        if frame["type"] == "error":
            raise RefusedError(f"{speaker}: {frame['problem']}")
        channel_id, seq = frame["channel_id"], frame["seq"]
        others = [one for one in devices if one is not speaker]
        came = await asyncio.gather(*(one.hears(channel_id, seq) for one in others))
        screen.message(seq, speaker, line.text)
        there = {one.owner for one in devices}
        heard = [one for one, did in zip(others, came, strict=True) if did]
        screen.received(acknowledged_ms, heard, [person for person, _ in scene.roles if person not in there])
        await _react(devices, channel_id, seq)
        await asyncio.sleep(PACE_S)
        return channel_id, seq

    async def _try(self, scene: Scene, line: Line, devices: Sequence[Device]) -> None:
        speaker = _device_of(line, devices)
        frame, _ = await speaker.write(scene, line.text)
        if frame["type"] != "error":
            raise RefusedError(f"{speaker} was to be refused")
        problem = frame["problem"]
        screen.refused(speaker, line.text, f"{problem['status']} {problem['title']}: {problem['detail']}")

    async def _look_in(self, reader: Person, channel_id: str, last: int) -> None:
        page = await self._host.call("GET", f"/api/channels/{channel_id}/messages", by=reader)
        await self._host.call("PUT", f"/api/channels/{channel_id}/read", {"seq": last}, by=reader)
        screen.note(f"{reader.name} looks in over HTTP, finds {len(page['items'])} messages and marks them as read.")


def _device_of(line: Line, devices: Sequence[Device]) -> Device:
    return next(one for one in devices if (one.owner, one.label) == (line.who, line.device))


async def _react(devices: Sequence[Device], channel_id: str, seq: int) -> None:
    """Ana has the conversation on the screen; Bea's browser tells that she has read."""
    for one in devices:
        if one.owner is ANA:
            await one.send(type="view", channel_id=channel_id)
        elif one.owner is BEA:
            await one.send(type="read", channel_id=channel_id, seq=seq)


def _expected(scene: Scene, seqs: Sequence[int]) -> dict[str, int]:
    """Return up to which seq each participant is to be alerted: nobody of what they wrote themselves."""
    by_others = {
        person.user_id: [seq for line, seq in zip(scene.lines, seqs, strict=True) if line.who is not person]
        for person, _ in scene.roles
    }
    return {user_id: max(heard) for user_id, heard in by_others.items() if heard}
