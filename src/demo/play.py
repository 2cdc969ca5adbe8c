"""Plays a scene over real sockets and shows what reaches whom."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from demo import screen
from demo.alerts import Alerts
from demo.cast import ANA, BEA, Line, Person, Scene
from demo.device import Device, device
from demo.host import Host, RefusedError
from demo.stage import SMS_DELAY_S
from parley_client import Message, Refused

PACE_S = 0.3


class Play:
    """One scene: everybody comes, talks, and hears what became of their alerts; then all sockets are closed."""

    def __init__(self, host: Host, alerts: Alerts) -> None:
        self._host = host
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
            channel_id, last = said[-1].channel_id, said[-1].seq
            if scene.refused is not None:
                await self._try(scene, scene.refused, devices)
            if scene.looks_in is not None:
                await self._look_in(scene.looks_in, channel_id, last)
            screen.heading(f"Who gets an SMS, {SMS_DELAY_S} s after the first message (120 s unless set otherwise)")
            await self._alerts.conclude(channel_id, _expected(scene, [message.seq for message in said]))
            await _read(devices, channel_id, last)
        return channel_id

    def _device(self, owner: Person, label: str) -> AbstractAsyncContextManager[Device]:
        return device(self._host.url, self._host.tokens[owner.user_id], owner, label)

    async def _say(self, scene: Scene, line: Line, devices: Sequence[Device]) -> Message:
        speaker = _device_of(line, devices)
        message, acknowledged_ms = await speaker.write(scene, line.text)
        self._alerts.said(message.channel_id, message.seq)
        others = [one for one in devices if one is not speaker]
        came = await asyncio.gather(*(one.hears(message) for one in others))
        screen.message(message.seq, speaker, line.text)
        there = {one.owner for one in devices}
        heard = [one for one, did in zip(others, came, strict=True) if did]
        screen.received(acknowledged_ms, heard, [person for person, _ in scene.roles if person not in there])
        _react(devices, message)
        await asyncio.sleep(PACE_S)
        return message

    async def _try(self, scene: Scene, line: Line, devices: Sequence[Device]) -> None:
        speaker = _device_of(line, devices)
        try:
            await speaker.write(scene, line.text)
        except Refused as refusal:
            screen.refused(speaker, line.text, str(refusal))
        else:
            raise RefusedError(f"{speaker} was to be refused")

    async def _look_in(self, reader: Person, channel_id: str, last: int) -> None:
        page = await self._host.call("GET", f"/api/channels/{channel_id}/messages", by=reader)
        await self._host.call("PUT", f"/api/channels/{channel_id}/read", {"seq": last}, by=reader)
        screen.note(f"{reader.name} looks in over HTTP, finds {len(page['items'])} messages and marks them as read.")


def _device_of(line: Line, devices: Sequence[Device]) -> Device:
    return next(one for one in devices if (one.owner, one.label) == (line.who, line.device))


def _react(devices: Sequence[Device], message: Message) -> None:
    """Ana has the conversation on the screen; Bea's browser tells that she has read."""
    for one in devices:
        if one.owner is ANA:
            one.client.view(message.channel_id)
        elif one.owner is BEA:
            one.client.mark_read(message.channel_id, message.seq)


async def _read(devices: Sequence[Device], channel_id: str, last: int) -> None:
    """Whoever is there reads it all before they go: else they would be sent an SMS a minute later."""
    for one in devices:
        one.client.mark_read(channel_id, last)
    await asyncio.sleep(PACE_S)


def _expected(scene: Scene, seqs: Sequence[int]) -> dict[str, int]:
    """Return up to which seq each participant is to be alerted: nobody of what they wrote themselves."""
    by_others = {
        person.user_id: [seq for line, seq in zip(scene.lines, seqs, strict=True) if line.who is not person]
        for person, _ in scene.roles
    }
    return {user_id: max(heard) for user_id, heard in by_others.items() if heard}
