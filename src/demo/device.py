"""Somebody's device: one chat socket, as any client would use it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import websockets
from websockets.asyncio.client import ClientConnection

from demo.cast import Person, Scene

PATIENCE_S = 15

Frame = dict[str, Any]


class Device:
    """An authenticated socket. Remembers when each message came out of it."""

    def __init__(self, owner: Person, label: str, socket: ClientConnection) -> None:
        self.owner = owner
        self.label = label
        self._socket = socket
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._heard: set[tuple[str, int]] = set()
        self._news = asyncio.Condition()

    def __str__(self) -> str:
        return f"{self.owner.short} ({self.label})"

    async def send(self, **frame: Any) -> None:
        """Send a frame."""
        await self._socket.send(json.dumps(frame))

    async def write(self, scene: Scene, text: str) -> tuple[Frame, float]:
        """Send a message into a context; returns the ack or the error, and after how many milliseconds it came.

        Raises:
            TimeoutError: there was no answer.
        """
        ref = uuid4().hex
        answer = self._answers[ref] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        context = {"type": scene.context_type, "id": scene.context_id}
        await self.send(type="message.send", ref=ref, client_id=uuid4().hex, context=context, content=text)
        frame = await asyncio.wait_for(answer, PATIENCE_S)
        return frame, (time.perf_counter() - begun) * 1000

    async def hears(self, channel_id: str, seq: int) -> bool:
        """Wait for a message; returns whether it came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(lambda: (channel_id, seq) in self._heard)
                return True
        return False

    async def listen(self) -> None:
        """Take in frames until the socket closes."""
        async for text in self._socket:
            frame: Frame = json.loads(text)
            if frame["type"] in {"ack", "error"} and frame.get("ref") in self._answers:
                self._answers.pop(frame["ref"]).set_result(frame)
            elif frame["type"] == "message.created":
                async with self._news:
                    self._heard.add((frame["channel_id"], frame["seq"]))
                    self._news.notify_all()


@asynccontextmanager
async def device(url: str, token: str, owner: Person, label: str) -> AsyncIterator[Device]:
    """Connect, authenticate, wait for `ready`; close at the end."""
    async with websockets.connect(url, subprotocols=["parley.v1"], proxy=None, compression=None) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "auth", "token": token}))
        await asyncio.wait_for(socket.recv(), PATIENCE_S)
        opened = Device(owner, label, socket)
        listening = asyncio.create_task(opened.listen())
        try:
            yield opened
        finally:
            listening.cancel()
