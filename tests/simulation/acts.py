"""What each kind of step does, by whichever way it goes."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import to_builtins

from parley_client import Refused, Stopped
from tests.simulation.people import Crowd, Device, Done
from tests.simulation.plan import CONTEXTS, DIRECT, Step

Answer = tuple[int, dict[str, Any]]
Act = Callable[["Acts", Done], Awaitable[Answer | None]]


class Acts:
    """Does the steps of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    async def do(self, step: Step) -> None:
        """Do a step, and note how it went; what can't be done yet isn't."""
        device = self._crowd.device(step)
        done = self._crowd.begun(step, device.user)
        try:
            answer = await ACTS[step.what](self, done)
            done.status, done.body = answer or (0, {})
        except Refused as refusal:
            done.status, done.problem = refusal.status, refusal.type
        except Stopped:
            pass
        done.problem = done.problem or str(done.body.get("type", ""))
        done.ended = time.time()

    async def send(self, done: Done) -> Answer:
        step, device = done.step, self._crowd.device(done.step)
        client_id = f"step {done.step.number}"
        if step.way == "socket":
            message = await device.client.send(self._target(done), step.value, client_id=client_id)
            return self._sent(done, 201, to_builtins(message))
        body = {"client_id": client_id, "content": step.value}
        target = self._target(done)
        place = f"channels/{target}" if isinstance(target, str) else f"contexts/{'/'.join(target)}"
        return self._sent(done, *await device.http.ask("POST", f"/api/{place}/messages", body))

    async def revise(self, done: Done) -> Answer | None:
        client_id = f"step {done.step.number}"

        async def by_socket(device: Device, message: str) -> object:
            return await device.client.revise(message, done.step.value, client_id=client_id)

        body = {"client_id": client_id, "content": done.step.value}
        return await self._about_message(done, by_socket, "PATCH", "", body)

    async def delete(self, done: Done) -> Answer | None:
        return await self._about_message(done, lambda device, message: device.client.delete(message), "DELETE", "")

    async def react(self, done: Done) -> Answer | None:
        emoji = done.step.value
        path = f"/reactions/{quote(emoji)}"
        return await self._about_message(done, lambda device, it: device.client.react(it, emoji), "PUT", path)

    async def unreact(self, done: Done) -> Answer | None:
        emoji = done.step.value
        path = f"/reactions/{quote(emoji)}"
        return await self._about_message(done, lambda device, it: device.client.unreact(it, emoji), "DELETE", path)

    async def mark(self, done: Done) -> Answer | None:
        step, device = done.step, self._crowd.device(done.step)
        channel = self._crowd.channels.get(step.channel)
        if channel is None:
            return None
        seq = max(0, device.view.channels[channel].last_seq + step.ahead)
        if step.way == "http":
            return await device.http.ask("PUT", f"/api/channels/{channel}/{step.what}", {"seq": seq})
        (device.client.mark_read if step.what == "read" else device.client.mark_delivered)(channel, seq)
        return None

    async def open(self, done: Done) -> Answer:
        """Open the direct channel with somebody, which may be there."""
        body = {"user_id": self._crowd.users[done.step.other]}
        return await self._crowd.device(done.step).http.ask("POST", "/api/channels/direct", body)

    async def found(self, name: str, maker: str, others: tuple[str, ...]) -> None:
        """Make a group, or a direct channel: what a run begins with."""
        ids = [self._crowd.users[other] for other in others]
        body = {"user_id": ids[0]} if name in DIRECT else {"title": name, "participant_ids": ids}
        path = "direct" if name in DIRECT else "group"
        status, made = await self._crowd.devices[maker][0].http.ask("POST", f"/api/channels/{path}", body)
        assert status == 201, made
        self._crowd.channels[name] = made["id"]

    async def add(self, done: Done) -> Answer:
        body = {"user_id": self._crowd.users[done.step.other], "role": done.step.value}
        return await self._in_group(done, "POST", "/participants", body)

    async def remove(self, done: Done) -> Answer:
        return await self._in_group(done, "DELETE", f"/participants/{self._crowd.users[done.step.other]}")

    async def role(self, done: Done) -> Answer:
        path = f"/participants/{self._crowd.users[done.step.other]}"
        return await self._in_group(done, "PATCH", path, {"role": done.step.value})

    async def title(self, done: Done) -> Answer:
        return await self._in_group(done, "PATCH", "", {"title": done.step.value})

    async def status(self, done: Done) -> Answer:
        return await self._in_group(done, "PATCH", "", {"status": done.step.value})

    async def mute(self, done: Done) -> Answer | None:
        if done.step.channel not in self._crowd.channels:
            return None
        return await self._in_group(done, "PUT", "/settings", {"muted_until": "2100-01-01T00:00:00Z"})

    async def context(self, done: Done) -> Answer:
        """The host wants a context otherwise."""
        done.user = ""
        return await self.put_context(done.step.channel, done.step.people, done.step.value, done.step.device)

    async def put_context(self, kind: str, people: Mapping[str, str], status: str = "open", at: int = 0) -> Answer:
        """Have the host keep a context like this."""
        body = {"participants": self._crowd.roles(people), "status": status}
        line = self._crowd.host[at % len(self._crowd.host)]
        return await line.ask("PUT", f"/api/contexts/{kind}/{self._crowd.context(kind)}", body)

    def _target(self, done: Done) -> str | tuple[str, str]:
        """A context by its name, or by its channel's id where that is known; both come to the same."""
        name = done.step.channel
        known = self._crowd.channels.get(name)
        if name in CONTEXTS and (known is None or done.step.number % 2):
            return name, self._crowd.context(name)
        return self._crowd.channels[name]

    def _sent(self, done: Done, status: int, body: dict[str, Any]) -> Answer:
        if status in {200, 201}:
            self._crowd.messages[done.step.number] = body["id"]
            self._crowd.channels.setdefault(done.step.channel, body["channel_id"])
        return status, body

    async def _about_message(
        self,
        done: Done,
        by_socket: Callable[[Device, str], Awaitable[object]],
        method: str,
        path: str,
        body: Any = None,
    ) -> Answer | None:
        message, device = self._crowd.messages.get(done.step.message), self._crowd.device(done.step)
        if message is None:
            return None
        if done.step.way == "socket":
            return 200, to_builtins(await by_socket(device, message)) or {}
        return await device.http.ask(method, f"/api/messages/{message}{path}", body)

    async def _in_group(self, done: Done, method: str, path: str, body: Any = None) -> Answer:
        channel = self._crowd.channels[done.step.channel]
        return await self._crowd.device(done.step).http.ask(method, f"/api/channels/{channel}{path}", body)


ACTS: Mapping[str, Act] = {
    "send": Acts.send,
    "revise": Acts.revise,
    "delete": Acts.delete,
    "react": Acts.react,
    "unreact": Acts.unreact,
    "read": Acts.mark,
    "delivered": Acts.mark,
    "open": Acts.open,
    "add": Acts.add,
    "remove": Acts.remove,
    "role": Acts.role,
    "title": Acts.title,
    "status": Acts.status,
    "mute": Acts.mute,
    "context": Acts.context,
}
