"""The server of the demo: the one that `parley serve` runs, in a thread of its own, on an embedded database."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from msgspec.structs import replace

from app import Parley
from kernel.settings import Settings
from server import Server, build

SMS_DELAY_S = 3
POLL_S = 0.05

T = TypeVar("T")


class StageError(Exception):
    """The server can't be had; the message says why."""


class Stage:
    """A running server."""

    def __init__(self, server: Server, url: str) -> None:
        self.url = url
        self.ws_url = url.replace("http", "ws", 1) + "/ws/chat"
        self._server = server
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def parley(self) -> Parley:
        """The parts of the server. What they do, they do in their own thread: see `ask`."""
        return self._server.parley

    async def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's event loop and return what it returns."""
        if self._loop is None:
            raise StageError("the server isn't running")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self._loop))

    def run(self, listener: socket.socket) -> None:
        """Serve until told to stop. Runs in a thread, where uvicorn leaves signals alone."""
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            self._loop = runner.get_loop()
            runner.run(self._server.serve(sockets=[listener]))

    def stop(self) -> None:
        """Ask it to drain and to end."""
        self._server.should_exit = True

    @property
    def started(self) -> bool:
        """Whether it takes requests."""
        return self._server.started


@asynccontextmanager
async def stage(settings: Settings, host: str, port: int) -> AsyncIterator[Stage]:
    """Start a server, give it when it takes requests, and stop it at the end.

    Raises:
        StageError: the port is taken, or the server failed to start.
    """
    listener = _listen(host, port)
    url = f"http://{'127.0.0.1' if host in {'', '0.0.0.0'} else host}:{listener.getsockname()[1]}"  # noqa: S104 - not bound to
    built = Stage(build(_harmless(settings, url), host=host, port=port), url)
    thread = threading.Thread(target=built.run, args=[listener], name="demo server")
    thread.start()
    try:
        while thread.is_alive() and not built.started:  # noqa: ASYNC110 - uvicorn tells by a flag only
            await asyncio.sleep(POLL_S)
        if not built.started:
            raise StageError("the server didn't start; the reason is above")
        yield built
    finally:
        built.stop()
        await asyncio.to_thread(thread.join)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StageError(f"can't listen on {host}:{port} ({error.strerror}); choose another with --port") from None
    return listener


def _harmless(settings: Settings, url: str) -> Settings:
    """Nothing may leave this machine, and no other database than the embedded one may be touched."""
    return replace(
        settings,
        env="development",
        database_url=None,
        redis_url=None,
        jwks_url=None,
        public_url=url,
        default_time_zone=settings.default_time_zone or "Europe/London",  # without one, the start warns
        sms_delay_s=SMS_DELAY_S,
        twilio_account_sid=None,
        twilio_auth_token=None,
        twilio_from=None,
        twilio_messaging_service_sid=None,
        twilio_api_url=None,
        smtp_url=None,
    )
