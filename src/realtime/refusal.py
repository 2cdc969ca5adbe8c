"""Refuses a WebSocket handshake with an HTTP answer, where the server can: ASGI's `websocket.http.response`."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kernel.errors import ParleyError
from kernel.http.problems import MEDIA_TYPE
from realtime import closing
from realtime.socket import fitting

EXTENSION = "websocket.http.response"

Sender = Callable[[Any], Awaitable[None]]


async def refuse(scope: Any, send: Sender, error: ParleyError) -> None:
    """Answer a handshake with a problem; where the server can't, accept it and close with 1013."""
    if EXTENSION in scope.get("extensions", {}):
        headers = [(name.lower().encode(), value.encode()) for name, value in error.headers().items()]
        headers.append((b"content-type", MEDIA_TYPE.encode()))
        await send({"type": f"{EXTENSION}.start", "status": error.status, "headers": headers})
        await send({"type": f"{EXTENSION}.body", "body": msgspec.json.encode(error.problem())})
    else:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": closing.OVERLOADED, "reason": fitting(error.detail)})
