"""Runs the application under uvicorn, tuned for many sockets; see docs/adr/0005-uvicorn-protocol.md."""

import gc
import socket

import uvicorn
from litestar import Litestar

from app import Parley, create_app
from kernel.settings import Settings
from realtime.protocol import ParleyWebSocketProtocol

GRACE_S = 10
BACKLOG = 4096


class Server(uvicorn.Server):
    """uvicorn, but draining before it closes connections: its own shutdown closes all sockets at once."""

    def __init__(self, config: uvicorn.Config, parley: Parley) -> None:
        super().__init__(config)
        self.parley = parley

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Bring the parts up first and take them down last: why that failed is for the caller, not for a log."""
        async with self.parley.running():
            await super()._serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; what was built at start lives for ever, so the garbage collector need not look at it again."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 1_000)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send everybody elsewhere, spread over a second, then stop."""
        await self.parley.drain()
        await super().shutdown(sockets)


def build(settings: Settings, *, host: str, port: int) -> Server:
    """Return the server, not yet running."""
    parley = Parley(settings)
    app: Litestar = create_app(parley=parley)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        ws=ParleyWebSocketProtocol,
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.ws_heartbeat_s,
        ws_ping_timeout=settings.ws_heartbeat_s,
        lifespan="off",  # it is `_serve` that runs the parts
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config, parley)
