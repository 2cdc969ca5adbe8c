"""Runs the application under uvicorn, tuned for many sockets; see docs/adr/0005-uvicorn-protocol.md."""

import asyncio
import gc
import logging
import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from litestar import Litestar

from app import Parley, create_app
from kernel.http.protocol import ParleyHttpProtocol
from kernel.settings import Settings
from realtime.protocol import ParleyWebSocketProtocol

GRACE_S = 10
BACKLOG = 4096
POLL_S = 0.1


def _no_event(record: logging.LogRecord) -> bool:
    """A peer's bad bytes close its socket; with a traceback for each it could fill the log."""
    return not record.getMessage().startswith("Invalid UTF-8")


class Server(uvicorn.Server):
    """uvicorn, but draining before it closes connections: its own shutdown closes all sockets at once."""

    def __init__(self, config: uvicorn.Config, parley: Parley) -> None:
        super().__init__(config)
        self.parley = parley
        self._parent: int | None = None
        self._on_start: Callable[[], None] = lambda: None

    def serve_under(self, parent: int, on_start: Callable[[], None]) -> None:
        """Be one of several: tell when requests are taken, and stop when the parent process is gone."""
        self._parent, self._on_start = parent, on_start

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order; told so a second time, without waiting for anybody."""
        hurry = self.should_exit
        super().handle_exit(sig, frame)
        self.force_exit = self.force_exit or hurry

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop."""
        orphaned = self._parent is not None and os.getppid() != self._parent
        return orphaned or await super().on_tick(counter)

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
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send everybody elsewhere, spread over a second, then stop."""
        draining = asyncio.create_task(self.parley.drain())
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=POLL_S)
        draining.cancel()
        await asyncio.wait([draining])
        await super().shutdown(sockets)


def build(settings: Settings, *, host: str, port: int) -> Server:
    """Return the server, not yet running."""
    logging.getLogger("uvicorn.error").addFilter(_no_event)
    parley = Parley(settings)
    app: Litestar = create_app(parley=parley)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=ParleyHttpProtocol,
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
