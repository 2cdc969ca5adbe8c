"""People and their devices: each device shows what it hears, and does its steps one after the other."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from parley_client import Backoff, Client, Options, Record
from tests.simulation.plan import PEOPLE, Step
from tests.simulation.view import View
from tests.simulation.world import World

EAGER = Options(backoff=Backoff(base_s=0.05, cap_s=0.3))
AGAIN_S = 0.05
PASSING = {429, 503}


class Done(msgspec.Struct):
    """A step that was done, and its answer. `status` 0: nobody knows what became of it."""

    step: Step
    user: str
    began: float
    ended: float = 0.0
    status: int = 0
    problem: str = ""
    body: dict[str, Any] = {}


class Line:
    """HTTP that is tried again until it is answered."""

    def __init__(self, url: str, bearer: str) -> None:
        headers = {"Authorization": f"Bearer {bearer}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)

    async def ask(
        self, method: str, path: str, body: Any = None, **parameters: str | int | None
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of the answer."""
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        query = {name: value for name, value in parameters.items() if value is not None}
        while True:
            with suppress(httpx.TransportError):
                answer = await self._http.request(method, path, json=body, headers=headers, params=query)
                if answer.status_code not in PASSING:
                    return answer.status_code, answer.json() if answer.content else {}
            await asyncio.sleep(AGAIN_S)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()


class Device:
    """Somebody's device at one instance. `frames` are what came since they were taken."""

    def __init__(self, url: str, user: str, token: str) -> None:
        self.user = user
        self.view = View()
        self.frames: list[str] = []
        self.http = Line(url, token)
        self.url, self.token = url, token
        self._past: dict[str, Any] = {}
        self._life: asyncio.Task[None] | None = None
        self.client = self._made()

    async def arrive(self) -> None:
        """Connect, and go on where it was."""
        self.client = self._made()
        self._life = asyncio.create_task(self._live(self.client))

    async def leave(self) -> None:
        """Disconnect, and keep what is known."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        self._past = {"positions": self.client.positions, "epoch": self.client.epoch}

    def take(self) -> list[str]:
        """Return the frames that came since this was last asked."""
        frames, self.frames[:] = [*self.frames], []
        return frames

    async def close(self) -> None:
        """End."""
        await self.leave()
        await self.http.close()

    @property
    def failure(self) -> str:
        """Why it can't go on, if so."""
        life = self._life
        return str(life.exception() or "ended") if life is not None and life.done() and not life.cancelled() else ""

    def _made(self) -> Client:
        return Client(
            self.url, token=self.token, from_beginning=True, options=EAGER, tap=self.frames.append, **self._past
        )

    async def _live(self, client: Client) -> None:
        async with client:
            async for record in client.records():
                if isinstance(record, Record):
                    self.view.apply(record)
                else:
                    self.view.faults.append("reset: the history is still the same")


class Crowd:
    """Everybody, the host, and what is known of them. Each run has a crowd of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.suffix = uuid4().hex[:6]
        self.users = {name: f"{name}-{self.suffix}" for name in PEOPLE}
        self.host = [Line(url, world.key) for url in world.urls]
        self.devices: dict[str, list[Device]] = {}
        self.channels: dict[str, str] = {}
        self.messages: dict[int, str] = {}
        self.done: list[Done] = []

    async def gather(self) -> None:
        """Make the people, and connect their devices."""
        for name, user in self.users.items():
            body = {"username": user, "display_name": name.title()}
            await self.host[0].ask("PUT", f"/api/users/{user}", body)
            _, made = await self.host[0].ask("POST", "/api/tokens", {"user_id": user})
            self.devices[name] = [Device(url, user, made["token"]) for url in self.world.urls]
        for device in self.everybody:
            await device.arrive()

    @property
    def everybody(self) -> list[Device]:
        """All devices."""
        return [device for devices in self.devices.values() for device in devices]

    def device(self, step: Step) -> Device:
        """Return the device that does a step."""
        devices = self.devices[step.who or PEOPLE[0]]
        return devices[step.device % len(devices)]

    def context(self, kind: str) -> str:
        """Return the id of the context of that kind."""
        return f"{kind}-{self.suffix}"

    def roles(self, roles: Mapping[str, str]) -> list[dict[str, str]]:
        """Return people and roles as the host tells them."""
        return [{"user_id": self.users[name], "role": role} for name, role in roles.items()]

    def begun(self, step: Step, user: str) -> Done:
        """Note that a step has begun."""
        done = Done(step, user, time.time())
        self.done.append(done)
        return done

    async def close(self) -> None:
        """Let everybody go."""
        await asyncio.gather(*(device.close() for device in self.everybody))
        for line in self.host:
            await line.close()
