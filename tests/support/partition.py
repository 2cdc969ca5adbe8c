"""A network that fails: between one client and a server, while the server's other clients notice nothing."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CHUNK = 65536


class Partition:
    """A TCP proxy on `port` in front of a port or a Unix socket of this machine, which a test makes fail."""

    port: int

    def __init__(self, server: int | str) -> None:
        self._server = server
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stopping = asyncio.Event()
        self._open: set[StreamWriter] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()

    async def serve(self, started: Callable[[], None]) -> None:
        """Serve until `stop`."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started()
        await self._stopping.wait()
        server.close()
        self._cut()
        self._flowing.set()
        await self._nobody.wait()

    def stall(self) -> None:
        """Let nothing through any more and break nothing, as a network that drops packets."""
        self._do(self._flowing.clear)

    def cut(self) -> None:
        """Break every connection, and each new one at once."""
        self._do(self._cut)

    def heal(self) -> None:
        """Let everything through again, what was held up first."""
        self._do(self._heal)

    def lead_to(self, server: int | str) -> None:
        """Lead new connections to another place: the server has moved."""
        self._server = server

    def stop(self) -> None:
        """End the proxy and its connections."""
        self._do(self._stopping.set)

    def _do(self, what: Callable[[], None]) -> None:
        async def do() -> None:
            what()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result()

    def _cut(self) -> None:
        self._refusing = True
        for writer in self._open:
            writer.transport.abort()

    def _heal(self) -> None:
        self._refusing = False
        self._flowing.set()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        with self._counted(writer), suppress(OSError):
            if self._refusing:
                return
            from_server, to_server = await self._connected()
            with self._counted(to_server):
                ways = [self._pump(reader, to_server), self._pump(from_server, writer)]
                await first_of([asyncio.ensure_future(way) for way in ways])

    async def _connected(self) -> tuple[StreamReader, StreamWriter]:
        if isinstance(self._server, str):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection("127.0.0.1", self._server)

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()

    @contextmanager
    def _counted(self, writer: StreamWriter) -> Iterator[None]:
        self._open.add(writer)
        self._nobody.clear()
        try:
            yield
        finally:
            self._open.discard(writer)
            writer.transport.abort()
            if not self._open:
                self._nobody.set()


async def first_of(tasks: list[asyncio.Future[None]]) -> None:
    """Wait for the first to end, and end the others."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


@contextmanager
def partition(server: int | str) -> Iterator[Partition]:
    """Put a network that can fail in front of a server; it has a thread of its own, so that a test may block."""
    network = Partition(server)
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(network.serve(started.set)))
    thread.start()
    started.wait()
    try:
        yield network
    finally:
        network.stop()
        thread.join()
