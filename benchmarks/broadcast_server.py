"""Parley's sockets without its domain: whoever is let in hears every broadcast, and any frame of theirs
causes one.

The like-for-like counterpart of `node/server.mjs`: the same token check, the same frame, the real hub on the
real protocol class under the server settings of `parley serve`.
"""

import gc
import sys
from typing import Any

import msgspec
import uvicorn

from kernel.auth.jwt import TokenVerifier
from realtime.connection import Connection
from realtime.frame import Frame
from realtime.hub import Hub
from realtime.protocol import ParleyWebSocketProtocol
from realtime.socket import socket_for

TOPIC = "channel:everybody"
READY = Frame(b'{"type":"ready"}')
QUEUE_LIMIT_BYTES = 256 * 1024
GC_THRESHOLDS = (50_000, 20, 1_000)


class Auth(msgspec.Struct):
    """The first frame."""

    token: str


class BroadcastApp:
    """An ASGI application with one channel."""

    def __init__(self, secret: str, payload: bytes) -> None:
        self._tokens = TokenVerifier(secret=secret)
        self._payload = payload
        self._hub = Hub()
        self._seq = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket."""
        await receive()
        await send({"type": "websocket.accept"})
        first = await receive()
        claims = await self._tokens.verify(msgspec.json.decode(first["text"], type=Auth).token)
        connection = Connection(
            claims.sub, socket_for(scope, send), flusher=self._hub.flusher, queue_limit=QUEUE_LIMIT_BYTES
        )
        self._hub.register(connection)
        self._hub.subscribe(connection, TOPIC)
        connection.send(READY)
        try:
            while (await receive())["type"] == "websocket.receive":
                self._seq += 1
                self._hub.publish(TOPIC, self._seq, Frame(self._payload))
        finally:
            self._hub.drop(connection)


def main(port: int, secret: str, payload: str) -> None:
    """Serve until stopped."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    uvicorn.run(
        BroadcastApp(secret, payload.encode()),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        ws=ParleyWebSocketProtocol,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:4])
