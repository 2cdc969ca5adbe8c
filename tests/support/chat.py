"""A plain chat socket for tests: sends what it is told, shows what arrives."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import websockets
from websockets.asyncio.client import ClientConnection

Frame = dict[str, Any]
PATIENCE_S = 10


class Chat:
    """An authenticated socket. Frames that a wait passes over stay in `seen`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.ready: Frame = {}
        self.seen: list[Frame] = []

    async def send(self, **frame: Any) -> None:
        """Send a frame."""
        await self.socket.send(json.dumps(frame))

    async def receive(self, *types: str, patience_s: float = PATIENCE_S) -> Frame:
        """Return the next frame, or the next of these types."""
        async with asyncio.timeout(patience_s):
            while True:
                frame: Frame = json.loads(await self.socket.recv())
                self.seen.append(frame)
                if not types or frame["type"] in types:
                    return frame

    async def message(self, content: str, *, client_id: str | None = None, **target: Any) -> Frame:
        """Send a message and return its ack or error."""
        ref = uuid4().hex
        await self.send(type="message.send", ref=ref, client_id=client_id or uuid4().hex, content=content, **target)
        while True:
            frame = await self.receive("ack", "error")
            if frame.get("ref") == ref:
                return frame

    async def closed(self, patience_s: float = PATIENCE_S) -> int:
        """Wait until the server closes the socket; returns the code."""
        async with asyncio.timeout(patience_s):
            try:
                while True:
                    self.seen.append(json.loads(await self.socket.recv()))
            except websockets.ConnectionClosed:
                return self.socket.close_code or 1006


@asynccontextmanager
async def chat(url: str, token: str, **options: Any) -> AsyncIterator[Chat]:
    """Connect, authenticate and wait for `ready`. Takes in whatever comes, unless `max_queue` says otherwise."""
    async with websockets.connect(url, **{"proxy": None, "compression": None, "max_queue": None} | options) as socket:
        talk = Chat(socket)
        await talk.send(type="auth", token=token)
        talk.ready = await talk.receive("ready")
        yield talk
